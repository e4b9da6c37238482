-- What an UPDATE is worth: see tracker/crediting.py.

local reporter = read_node(request.node_id)
if reporter then
  local refusal = refuse_speaker(reporter, nil)
  if refusal then
    return refuse(refusal)
  end
elseif rules.require_claim then
  return refuse({ kind = 'unclaimed' })
end

local credited = request.owner or request.node_id
local owner = credited == request.node_id and reporter or read_node(credited)
if reporter and request.number and not larger(request.number, reporter.last_receipt) then
  if is_speaker(reporter, false) then
    hear(reporter.id)
  end
  return reply({ uploads = owner and shown(owner) or 0, counted = false })
end

local with_secret = reporter ~= nil and reporter.secret ~= nil
if with_secret and owner == reporter then
  return refuse({ kind = 'itself' })
elseif not owner then
  return refuse({ kind = 'unknown', field = request.owner and 'owner' or 'node_id', node_id = credited })
elseif with_secret then
  local about = redis.call('HGET', has_key(owner.id), request.file)
  if not about then
    return refuse({ kind = 'no_such_file' })
  elseif not request.bytes then
    return refuse({ kind = 'no_bytes' })
  end
  local size = parse_about(about).size
  if request.bytes == '0' or (size ~= '' and larger(request.bytes, size)) then
    return refuse({ kind = 'bytes' })
  end
end

local function count_plain()
  owner.uploads = owner.uploads + 1
  if owner.receipts == 0 then
    add_to_score(owner)
  end
end

local function count_receipt(pair, receipts, credit)
  local more = math.min(tonumber(request.bytes), rules.max_credit - credit)
  if owner.receipts == 0 then
    owner.score = 0 -- of plain uploads, which say nothing from now on
  end
  owner.receipts, owner.credit = owner.receipts + 1, owner.credit + more
  add_to_score(owner)
  if redis.call('HSET', pairs_key(owner.id), pair, (receipts + 1) .. ' ' .. exact(credit + more)) == 1 then
    redis.call('HSET', node_key(owner.id), 'last_pair', pair)
  end
end

-- The pair that a receipt counts in, and what that has brought so far.
local function find_pair()
  local pair = tostring(reporter.id)
  local found = redis.call('HGET', pairs_key(owner.id), pair)
  if not found and redis.call('HLEN', pairs_key(owner.id)) >= rules.max_pairs then
    pair = redis.call('HGET', node_key(owner.id), 'last_pair')
    found = redis.call('HGET', pairs_key(owner.id), pair)
  end
  local receipts, credit = string.match(found or '0 0', '^(%d+) (%d+)$')
  return pair, tonumber(receipts), tonumber(credit)
end

local before = rank(owner)
local counted = true
if not with_secret then
  counted = owner.secret == nil
  if counted then
    count_plain()
  end
else
  local pair, receipts, credit = find_pair()
  counted = receipts < rules.max_receipts
  if counted then
    count_receipt(pair, receipts, credit)
  end
end

if counted then
  redis.call('HSET', node_key(owner.id), 'uploads', exact(owner.uploads), 'receipts', owner.receipts,
    'credit', exact(owner.credit), 'score', exact(owner.score), 'scored_at', exact(owner.scored_at))
  place_anew(owner, before)
  if reporter and request.number then
    redis.call('HSET', node_key(reporter.id), 'last_receipt', request.number)
  end
end
if reporter and is_speaker(reporter, false) then
  hear(reporter.id)
end
return reply({ uploads = shown(owner), counted = counted })
