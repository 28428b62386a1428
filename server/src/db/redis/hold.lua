-- A server vouches for its calls that are under way. What nobody vouches for any more is forgotten, so a server that
-- dies gives its slots back; what Redis has lost is told again. Always writes, so its answer means that Redis takes
-- writes: a full one and a replica would still answer reads.
--
-- KEYS: the server's own key, then the set of each call. ARGV: milliseconds, then the name of each call.

local lease = tonumber(ARGV[1])
local time = redis.call('time')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('set', KEYS[1], #KEYS - 1, 'px', lease)
for i = 2, #KEYS do
  redis.call('zadd', KEYS[i], now + lease, ARGV[i])
  redis.call('pexpire', KEYS[i], lease)
end
return #KEYS - 1
