-- Those with most owners first.
if untidy() then
  return reply({ again = true })
end
local LOOK = 32 -- owners of a file, in search of one that is not gone: where Redis refuses to take those out
local function told(file, list)
  for _, entry in ipairs(redis.call('ZRANGE', list, 0, LOOK - 1)) do
    local about = redis.call('HGET', has_key(string.match(entry, '^%x+:(%d+)$')), file)
    if about then
      return about
    end
  end
end
local views = {}
for _, file in ipairs(redis.call('ZREVRANGE', swarms, 0, request.limit - 1)) do
  local whole, part = list_key('w', 'file', file), list_key('p', 'file', file)
  local about = told(file, whole) or told(file, part)
  if about then
    views[#views + 1] = { file, about, redis.call('ZCARD', whole), redis.call('ZCARD', part) }
  end
end
return reply({ swarms = views })
