-- Those with most owners first.
if untidy() then
  return reply({ again = true })
end
local views = {}
for _, file in ipairs(redis.call('ZREVRANGE', swarms, 0, request.limit - 1)) do
  local whole, part = list_key('w', 'file', file), list_key('p', 'file', file)
  local any = redis.call('ZRANGE', whole, 0, 0)[1] or redis.call('ZRANGE', part, 0, 0)[1]
  local id = string.match(any, '^%x+:(%d+)$')
  local about = redis.call('HGET', has_key(id), file)
  if about then -- or it is gone, and Redis refuses to take it out
    views[#views + 1] = { file, about, redis.call('ZCARD', whole), redis.call('ZCARD', part) }
  end
end
return reply({ swarms = views })
