-- Whether Redis takes a write: its answer to one that means nothing.
redis.call('HSET', meta, 'tried_at', exact(now))
return reply({})
