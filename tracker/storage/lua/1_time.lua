-- What every script has: the rules, the request, the time by Redis' own clock, and a way to refuse.
--
-- A script is one transaction: Redis runs nothing else meanwhile. Whatever refuses does so before it writes.
-- KEYS[1] is "{tag}:deadlines"; all other keys carry the same tag, so a cluster keeps them on one server.
-- docs/scale.md lists them.

local rules = cjson.decode(ARGV[1])
local request = cjson.decode(ARGV[2])
local base = string.match(KEYS[1], '^(.*):deadlines$')
local deadlines, meta, names, swarms = KEYS[1], base .. ':meta', base .. ':names', base .. ':swarms'

local clock = redis.call('TIME')
local now = rules.now or tonumber(clock[1]) + tonumber(clock[2]) / 1e6

local facts = redis.call('HMGET', meta, 'salt', 'spared', 'expired_at', 'claimed', 'owned', 'left', 'cleared',
  'cursor')
local salt = tonumber(facts[1] or 0)
local spared = tonumber(facts[2] or 0) -- nobody's deadline comes before this
local expired_at = tonumber(facts[3] or 0) -- when silent nodes were last removed
local totals = { claimed = tonumber(facts[4] or 0), owned = tonumber(facts[5] or 0) }

-- As Redis takes it, with nothing of a double lost.
local function exact(number)
  return string.format('%.17g', number)
end

-- Whether one whole number is larger than another, both in digits: they may be too long for a double.
local function larger(one, other)
  if #one ~= #other then
    return #one > #other
  end
  return one > other
end

local function add_to_total(field, amount)
  if amount ~= 0 then
    totals[field] = redis.call('HINCRBY', meta, field, amount)
  end
end
