if untidy() then
  return reply({ again = true })
end
return reply({
  nodes = redis.call('ZCARD', deadlines),
  claimed = totals.claimed,
  files = redis.call('HLEN', names),
  owned = totals.owned,
})
