-- Files and their owners. A file is named by its info hash, or by ":" and its name where it has none; what a
-- node says of it is "w" (whole) or "p" (a part), its size if known, ":" and its name. Each owner stands in
-- two sorted sets: of those who have this file, and of those who have any file of this name.

local function parse_about(about)
  local side, size, name = string.match(about, '^([wp])(%d*):(.*)$')
  return { side = side, size = size, name = name }
end

local function list_key(side, kind, what)
  return base .. ':' .. side .. ':' .. kind .. ':' .. what
end

-- The two sorted sets that an owner stands in, and as what: {key, member}.
local function places(id, file, about)
  local said = parse_about(about)
  local member = spread(id) .. ':' .. id
  local hash = string.sub(file, 1, 1) == ':' and '' or file
  return {
    { list_key(said.side, 'file', file), member },
    { list_key(said.side, 'name', said.name), member .. ':' .. hash },
  }, said.name
end

-- again: what the node says of the file since it came back, or false; where that puts it, it stays.
local function leave_places(id, file, about, again)
  local both, name = places(id, file, about)
  local kept = again and places(id, file, again)
  for at, place in ipairs(both) do
    if not kept or kept[at][1] ~= place[1] or kept[at][2] ~= place[2] then
      redis.call('ZREM', place[1], place[2])
    end
  end
  if redis.call('HINCRBY', names, name, -1) == 0 then
    redis.call('HDEL', names, name)
  end
end

-- The node has the file, in place of what it said of it before (false: nothing).
local function own(node, score, file, about, before)
  if before then
    leave_places(node.id, file, before, false)
  else
    redis.call('ZINCRBY', swarms, 1, file)
  end
  local both, name = places(node.id, file, about)
  for _, place in ipairs(both) do
    redis.call('ZADD', place[1], score, place[2])
  end
  redis.call('HINCRBY', names, name, 1)
  redis.call('HSET', has_key(node.id), file, about)
end

local function disown(id, file, about, again)
  leave_places(id, file, about, again)
  if tonumber(redis.call('ZINCRBY', swarms, -1, file)) <= 0 then
    redis.call('ZREM', swarms, file)
  end
end

-- Put a node where its merits now place it; before: its rank as it stands, if that is known.
local function place_anew(node, before)
  local score = rank(node)
  if score == before then
    return
  end
  local all = redis.call('HGETALL', has_key(node.id))
  for at = 1, #all, 2 do
    for _, place in ipairs((places(node.id, all[at], all[at + 1]))) do
      redis.call('ZADD', place[1], 'XX', score, place[2])
    end
  end
end

-- After a request that moved the node, or gave it a secret (nil: it did neither).
local function take_over(node, secret)
  if not secret and request.addr == node.addr then
    return
  end
  node.addr = request.addr
  redis.call('HSET', node_key(node.id), 'addr', node.addr)
  if secret then
    local before = rank(node)
    -- Plain uploads of whoever had its number before are not its own.
    node.secret, node.uploads = secret, 0
    if node.receipts == 0 then
      node.score = 0
    end
    redis.call('HSET', node_key(node.id), 'secret', secret, 'uploads', 0, 'score', exact(node.score))
    add_to_total('claimed', 1)
    place_anew(node, before)
  end
end
