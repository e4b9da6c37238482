-- request.files: {file, about} each, no file twice.
local id = request.node_id
local node = read_node(id)
local known = node ~= nil
local refusal = known and refuse_speaker(node, nil)
if refusal then
  return refuse(refusal)
end

local asked = {}
for at, file in ipairs(request.files) do
  asked[at] = file[1]
end
local before = redis.call('HMGET', has_key(id), unpack(asked))
local news, more = {}, 0
for at, file in ipairs(request.files) do
  if before[at] ~= file[2] then
    news[#news + 1] = at
    more = more + (before[at] and 0 or 1)
  end
end
local files = redis.call('HLEN', has_key(id)) + more
if totals.owned + more > rules.max_ownerships then
  return refuse({ kind = 'full_of_files' })
elseif files > rules.max_files then
  return refuse({ kind = 'too_many_files' })
end

if known then
  take_over(node, nil)
else
  refusal = refuse_newcomer(request.proof)
  if refusal then
    return refuse(refusal)
  end
  node = join(request.proof)
end
local score = rank(node)
for _, at in ipairs(news) do
  own(node, score, request.files[at][1], request.files[at][2], before[at])
end
add_to_total('owned', more)
hear(id)
return reply({ known = known, files = files, news = news, claimed = node.secret ~= nil })
