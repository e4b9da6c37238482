-- The owners are to be ranked by another strategy: some nodes at a time; the cursor is "0" when all are done.
local scanned = redis.call('ZSCAN', deadlines, request.cursor, 'COUNT', 64)
for at = 1, #scanned[2], 2 do
  place_anew(read_node(scanned[2][at]))
end
if scanned[1] == '0' then
  redis.call('HSET', meta, 'ranking', rules.ranking, 'half_life', exact(rules.half_life))
end
return reply({ cursor = scanned[1] })
