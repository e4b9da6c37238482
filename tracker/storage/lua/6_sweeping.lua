-- Nodes whose deadline has come go first, in slices: what is left over makes the caller ask again. So no request
-- sees one, any process removes them, and no script runs for long.

local gone, stood_still = {}, 0

-- nil, or when the next node falls due.
local function next_deadline()
  local first = redis.call('ZRANGE', deadlines, 0, 0, 'WITHSCORES')
  return first[1] and math.max(tonumber(first[2]), spared) or nil
end

-- Every node gets one whole deadline from now.
local function spare_all()
  spared = math.max(spared, now + rules.silence)
  redis.call('HSET', meta, 'spared', exact(spared))
end

-- Whether there may be more to remove. While Redis refuses to write it hears nobody, so nobody is removed.
local function expire()
  local due = next_deadline()
  if not due or due > now then
    return false
  end
  local refused = redis.pcall('HSET', meta, 'expired_at', exact(now))
  if type(refused) == 'table' and refused.err then
    return false
  end
  local late = now - math.max(due, expired_at)
  if late > math.min(rules.stopped_for, rules.silence / 4) then
    -- No tracker was there, or Redis was not: nodes may have called all the time, and nobody heard.
    stood_still = now - due
    spare_all()
    return false
  end
  local silent = redis.call('ZRANGE', deadlines, '-inf', exact(now), 'BYSCORE', 'LIMIT', 0, rules.slice)
  for _, id in ipairs(silent) do
    gone[#gone + 1] = { tonumber(id), redis.call('HGET', node_key(id), 'addr') }
    remove_node(id)
  end
  return #silent == rules.slice
end

local function reply(answer)
  answer.gone, answer.stood_still = gone, stood_still
  return cjson.encode(answer)
end

local function refuse(refusal)
  return reply({ refused = refusal })
end
