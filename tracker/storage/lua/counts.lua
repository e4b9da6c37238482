return reply({
  nodes = redis.call('ZCARD', deadlines),
  claimed = claimed,
  files = redis.call('HLEN', names),
  owned = owned,
})
