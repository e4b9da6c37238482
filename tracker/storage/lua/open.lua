-- A tracker begins: everybody has one whole deadline to be heard from, as nobody may have listened before.
redis.call('HSETNX', meta, 'format', request.format)
redis.call('HSETNX', meta, 'salt', request.salt)
if redis.call('EXISTS', deadlines) == 1 then
  spare_all()
end
local kept = redis.call('HMGET', meta, 'format', 'ranking', 'half_life')
return reply({ format = kept[1], ranking = kept[2] or nil, half_life = kept[3] or nil })
