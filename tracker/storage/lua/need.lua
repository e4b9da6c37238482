if untidy() then
  return reply({ again = true })
end
local caller = read_node(request.node_id)
if caller and is_speaker(caller, false) then
  hear(caller.id)
end

local kind, what = 'name', request.filename
if request.info_hash then
  kind, what = 'file', request.info_hash
end
local whole, part = list_key('w', kind, what), list_key('p', kind, what)
local found
if rules.ranking == 'random' then
  found = redis.call('ZRANDMEMBER', whole, request.limit)
else
  found = redis.call('ZRANGE', whole, 0, request.limit - 1)
end
if #found < request.limit then
  for _, member in ipairs(redis.call('ZRANDMEMBER', part, request.limit - #found)) do
    found[#found + 1] = member
  end
end

local owners = {}
for _, member in ipairs(found) do
  local id, hash = string.match(member, '^%x+:(%d+):?(%x*)$')
  if request.info_hash then
    hash = request.info_hash
  end
  local file = hash ~= '' and hash or ':' .. what
  local node = redis.call('HMGET', node_key(id), 'addr', 'uploads', 'receipts')
  local about = redis.call('HGET', has_key(id), file)
  if node[1] and about then -- or it is gone, and Redis refuses to take it out
    owners[#owners + 1] = {
      tonumber(id), node[1], tonumber(node[2] or 0) + tonumber(node[3] or 0), file, about,
    }
  end
end
return reply({ owners = owners, total = redis.call('ZCARD', whole) + redis.call('ZCARD', part) })
