-- A node that leaves is gone at once, however many files it had: what it had is set aside under a number, and the
-- scripts that follow take it out of the lists of owners, a share each, so that none runs for long. Numbers from
-- cleared + 1 to left are still to be done; those who look at the lists ask again until all are.

local ITS_ID = '' -- a field beside the files of one that left
local left, cleared = tonumber(facts[6] or 0), tonumber(facts[7] or 0)
local cursor = facts[8] or '0' -- how far the first of them is done, as HSCAN counts
local share = rules.slice -- nodes and files that this script may still remove, about
local hindered = false -- Redis refuses to write

local function left_key(number)
  return base .. ':left:' .. exact(number)
end

local function remove_node(id)
  redis.call('ZREM', deadlines, id) -- the first write: a full Redis refuses those that need room, but only if first
  if redis.call('HEXISTS', node_key(id), 'secret') == 1 then
    add_to_total('claimed', -1)
  end
  local files = redis.call('HLEN', has_key(id))
  if files > 0 then
    add_to_total('owned', -files)
    left = redis.call('HINCRBY', meta, 'left', 1)
    redis.call('RENAME', has_key(id), left_key(left))
    redis.call('HSET', left_key(left), ITS_ID, id)
  end
  redis.call('UNLINK', node_key(id), pairs_key(id))
  share = share - 1
end

-- The files among what HSCAN found, and what was said of them; as many as are this script's share, and whether
-- that is all.
local function take(found)
  local files, abouts, all = {}, {}, true
  for at = 1, #found, 2 do
    if found[at] ~= ITS_ID then
      all = all and #files < share
      if all then
        files[#files + 1], abouts[#abouts + 1] = found[at], found[at + 1]
      end
    end
  end
  return files, abouts, all
end

local function clear_some(key)
  local id = redis.call('HGET', key, ITS_ID)
  local scanned = redis.call('HSCAN', key, cursor, 'COUNT', share)
  local files, abouts, all = take(scanned[2])
  if #files > 0 then
    local again = redis.call('HMGET', has_key(id), unpack(files))
    redis.call('HDEL', key, unpack(files))
    for at, file in ipairs(files) do
      disown(id, file, abouts[at], again[at])
    end
  end
  if redis.call('HLEN', key) == 1 then
    redis.call('DEL', key)
    cleared, cursor = cleared + 1, '0'
  elseif all then
    cursor = scanned[1]
  end
  share = share - math.max(#files, 1)
end

local function clear()
  if share <= 0 or cleared == left then
    return
  end
  local refused = redis.pcall('HDEL', meta, '')
  hindered = type(refused) == 'table' and refused.err ~= nil
  if hindered then
    return
  end
  while share > 0 and cleared < left do
    clear_some(left_key(cleared + 1))
  end
  redis.call('HSET', meta, 'cleared', exact(cleared), 'cursor', cursor)
end

-- Whether the lists still name nodes that are gone, and the next script can do something about it.
local function untidy()
  return cleared < left and not hindered
end
