-- Nodes: what is kept of each, who may speak for it, and when it must be heard from.

local function node_key(id)
  return base .. ':node:' .. id
end

-- A hash: file -> what the node says of it.
local function has_key(id)
  return base .. ':has:' .. id
end

-- A hash: reporter -> "receipts credit", what it has brought this node.
local function pairs_key(id)
  return base .. ':pairs:' .. id
end

-- nil if it is not in.
local function read_node(id)
  local found = redis.call('HMGET', node_key(id), 'addr', 'secret', 'uploads', 'receipts', 'credit', 'score',
    'scored_at', 'last_receipt')
  if not found[1] then
    return nil
  end
  return {
    id = id, addr = found[1], secret = found[2] or nil,
    uploads = tonumber(found[3] or 0), receipts = tonumber(found[4] or 0), credit = tonumber(found[5] or 0),
    score = tonumber(found[6] or 0), scored_at = tonumber(found[7] or 0),
    last_receipt = found[8] or '0',
  }
end

-- Uploads as others are told.
local function shown(node)
  return node.receipts + node.uploads
end

-- Strings are one object each in Lua, so == compares two addresses in memory, in the same time always. And
-- what is compared are SHA-256 hashes: to learn one bit by bit would not tell what to send to get it.
local function is_speaker(node, anywhere)
  if node.secret then
    return request.proof == node.secret
  end
  return anywhere or request.addr == node.addr
end

-- nil, or how the caller is refused; claim: what it asks for with this request.
local function refuse_speaker(node, claim)
  if is_speaker(node, not request.addr) then
    if not node.secret and not claim and rules.require_claim then
      return { kind = 'unclaimed' }
    end
    return nil
  end
  if request.addr and request.addr ~= node.addr then
    return { kind = 'in_use', addr = node.addr }
  end
  return { kind = 'secret' }
end

-- A sign of life. Nobody's deadline comes earlier by it. Where Redis refuses to write (its memory or disk is
-- full), the request goes on all the same; nobody is removed then, either (see 6_sweeping.lua).
local function hear(id)
  redis.pcall('ZADD', deadlines, 'GT', exact(now + rules.silence), id)
end

-- nil, or how the caller is refused: it is not in, and cannot come in.
local function refuse_newcomer(secret)
  if not secret and rules.require_claim then
    return { kind = 'unclaimed' }
  end
  if redis.call('ZCARD', deadlines) >= rules.max_nodes then
    return { kind = 'full_of_nodes' }
  end
  if not secret and redis.call('ZCARD', deadlines) - totals.claimed >= rules.max_unclaimed then
    return { kind = 'full_of_unclaimed' }
  end
  return nil
end

local function join(secret)
  local id = request.node_id
  redis.call('HSET', node_key(id), 'addr', request.addr)
  if secret then
    redis.call('HSET', node_key(id), 'secret', secret)
    add_to_total('claimed', 1)
  end
  redis.call('ZADD', deadlines, exact(now + rules.silence), id)
  return read_node(id)
end
