local node, claim = read_node(request.node_id), request.claim
if not node then
  local refusal = refuse_newcomer(claim)
  if refusal then
    return refuse(refusal)
  end
  join(claim)
  return reply({ known = false, files = 0, claimed = claim ~= nil, granted = claim ~= nil })
end
local refusal = refuse_speaker(node, claim)
if refusal then
  return refuse(refusal)
end
local granted = claim ~= nil and node.secret == nil
take_over(node, granted and claim or nil)
hear(node.id)
return reply({
  known = true,
  files = redis.call('HLEN', has_key(node.id)),
  claimed = node.secret ~= nil,
  granted = granted,
})
