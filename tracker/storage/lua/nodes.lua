local views = {}
for at, id in ipairs(redis.call('ZRANGE', deadlines, 0, request.limit - 1)) do
  local node = read_node(id)
  views[at] = { tonumber(id), node.addr, shown(node), redis.call('HLEN', has_key(id)), node.secret ~= nil }
end
return reply({ nodes = views })
