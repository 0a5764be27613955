package redisstore

// handleSize is that of a SHA-256 in base64, as envelope.HandleOf writes it. The swap script holds it as a number.
const handleSize = 43

// swapScript writes ARGV[2] if the record's handle is ARGV[1]. Found to be there already, because the answer to the first time
// was lost, it is as good as written. Whoever cannot have invalidations is told on a channel; that it may not be used hinders no
// write.
const swapScript = `local stored = redis.call('GETRANGE', KEYS[1], 0, 42)
if stored == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2])
  redis.pcall('PUBLISH', ARGV[3], ARGV[4])
  return 1
end
if stored == string.sub(ARGV[2], 1, 43) then
  return 1
end
return 0`

// acquireScript gives the lease to ARGV[1] for ARGV[2] milliseconds and returns -1, or for how long another has it still.
const acquireScript = `local owner = redis.call('GET', KEYS[1])
if not owner or owner == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return -1
end
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  left = tonumber(ARGV[2])
end
return left`

// renewScript lets ARGV[1] have the lease for ARGV[2] milliseconds from now on, if it has it still.
const renewScript = `if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0`

// releaseScript ends the lease if ARGV[1] has it.
const releaseScript = `if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0`
