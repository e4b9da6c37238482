local node = read_node(request.node_id)
if not node then
  return reply({ was_in = false })
end
local refusal = refuse_speaker(node, nil)
if refusal then
  return refuse(refusal)
end
remove_node(node.id)
clear()
return reply({ was_in = true })
