-- Those with most owners first.
local views = {}
for at, file in ipairs(redis.call('ZREVRANGE', swarms, 0, request.limit - 1)) do
  local whole, part = list_key('w', 'file', file), list_key('p', 'file', file)
  local any = redis.call('ZRANGE', whole, 0, 0)[1] or redis.call('ZRANGE', part, 0, 0)[1]
  local id = string.match(any, '^%x+:(%d+)$')
  views[at] = {
    file, redis.call('HGET', has_key(id), file), redis.call('ZCARD', whole), redis.call('ZCARD', part),
  }
end
return reply({ swarms = views })
