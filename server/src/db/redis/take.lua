-- Counts one request in every window and takes a slot, or, if one of them is used up, nothing. Redis runs a script
-- alone and keeps its clock still meanwhile, so servers never count between each other's reads and writes.
--
-- KEYS: one for each window, then, where calls at once are limited, the set of those under way.
-- ARGV: how many windows; for each its limit and its length in milliseconds; then, with a set, the limit, the name of
-- this call and the milliseconds for which its server vouches for it.
-- Answers whether it refuses (1), which limit to tell of (0 for the set), what it has left, and when it starts anew.

local windows = tonumber(ARGV[1])
local told, told_left, told_resets, is_full = 0, nil, 0, false
local left, resets = {}, {}

for i = 1, windows do
  local limit, length = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  left[i] = math.max(0, limit - tonumber(redis.call('get', KEYS[i]) or 0))
  resets[i] = redis.call('pttl', KEYS[i])
  local is_new = resets[i] < 0
  if is_new then resets[i] = length end
  if left[i] == 0 and (not is_full or resets[i] > told_resets) then
    told, told_left, told_resets, is_full = i, 0, resets[i], true
  elseif not is_full and (told_left == nil or left[i] < told_left) then
    told, told_left, told_resets = i, left[i], resets[i]
  end
end
if is_full then return { 1, told, 0, told_resets } end

local set = KEYS[windows + 1]
if set then
  local limit, name, lease = tonumber(ARGV[2 * windows + 2]), ARGV[2 * windows + 3], tonumber(ARGV[2 * windows + 4])
  local time = redis.call('time')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('zremrangebyscore', set, '-inf', now)
  if redis.call('zcard', set) >= limit then return { 1, 0, 0, 0 } end
  redis.call('zadd', set, now + lease, name)
  redis.call('pexpire', set, lease)
end

for i = 1, windows do
  redis.call('incr', KEYS[i])
  if redis.call('pttl', KEYS[i]) < 0 then redis.call('pexpire', KEYS[i], ARGV[2 * i + 1]) end
end
return { 0, told, told_left - 1, told_resets }
