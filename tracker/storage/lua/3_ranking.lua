-- Which owners are best: the strategies of tracker/ranking.py as one number a node, the lower the better, that
-- changes only with the node's merits. A double keeps 53 bits of a number; none of these needs more.

local MOST_PLAIN = 2 ^ 38 -- plain uploads, told apart up to here; receipts are 2^14 at most (decisions.py)
local UNPROVEN = 2 ^ 36 -- more than log2(score) + seconds since 1970 / half-life

local function log2(number)
  return math.log(number) / math.log(2)
end

local strategies = {
  uploads = function(node)
    return -(node.receipts * MOST_PLAIN + math.min(node.uploads, MOST_PLAIN - 1))
  end,
  bytes = function(node)
    return -node.credit
  end,
  rate = function(node)
    if node.score <= 0 then
      return 2 * UNPROVEN
    end
    local class = node.receipts > 0 and 0 or UNPROVEN
    return class - (log2(node.score) + node.scored_at / rules.half_life)
  end,
  random = function()
    return 0
  end,
}

local function rank(node)
  return exact(strategies[rules.ranking](node))
end

-- Equals stand in the order of their members, which begin with a number that spreads the node ids.
local function spread(id)
  return string.format('%05x', (id * 647543 + salt) % 1048576)
end

local function add_to_score(node)
  local age = math.max(now - node.scored_at, 0)
  node.score = node.score * 0.5 ^ (age / rules.half_life) + 1
  node.scored_at = now
end
