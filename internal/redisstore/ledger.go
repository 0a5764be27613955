package redisstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"evergate/internal/pace"
	"evergate/internal/token"
)

const paceKind = "pace"

// ledgerScript is the model of a bucket: the moment at which it will be empty, in microseconds of the server's clock, and what was
// ever given back. ARGV is the size, what leaks in a second, what was spent, what is needed, what may be lent beside, and how full it
// is at least. It answers in how many microseconds the need is met (less than zero: that is too far away, and nothing is promised),
// what is lent, what is free then, and what was ever given back.
const ledgerScript = `local size, rate, spent, need, extra, full = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local t = redis.call('TIME')
local now, unit = tonumber(t[1]) * 1000000 + tonumber(t[2]), 1000000 / rate
local brim = now + size * unit
local empty, returned = now, 0
local stored = redis.call('GET', KEYS[1])
if stored then
  local e, r = string.match(stored, '^(%S+) (%S+)$')
  if e then
    empty, returned = math.max(now, tonumber(e)), tonumber(r)
  end
end
if spent < 0 then
  returned = returned - spent
end
empty = math.max(now, empty + spent * unit, now + math.min(full, size) * unit)
local due = 0
if need > 0 then
  due = math.max(0, empty + need * unit - brim)
  if due > 10000000 then
    due = -due
  else
    empty = empty + need * unit
  end
end
local free = math.max(0, (brim - empty) / unit)
local lent = math.min(extra, math.floor(free))
empty, free = empty + lent * unit, free - lent
redis.call('SET', KEYS[1], string.format('%.0f %.3f', empty, returned), 'PX', string.format('%.0f', (empty - now) / 1000 + 60000))
return string.format('%.0f %.3f %.3f %.3f', due, lent, free, returned)`

// shopLedger is a pace.Ledger of one shop.
type shopLedger struct {
	backend *Backend
	keys    map[pace.API][]string
}

// Ledger accounts for the rate limits of a shop, for all who share the store.
func (b *Backend) Ledger(shop token.Shop) pace.Ledger {
	l := shopLedger{b, map[pace.API][]string{}}
	for api, name := range map[pace.API]string{pace.REST: "rest", pace.GraphQL: "graphql"} {
		l.keys[api] = []string{b.key(paceKind, shop.Domain()) + ":" + name}
	}
	return l
}

// Account implements pace.Ledger. It is not repeated: what was entered twice would be counted twice, and what was not at all is found
// out by Shopify's answers.
func (l shopLedger) Account(ctx context.Context, api pace.API, e pace.Entry) (pace.Balance, error) {
	var answer string
	err := l.backend.command(ctx, func(ctx context.Context, r *redis) (err error) {
		answer, err = r.account.Exec(ctx, r, l.keys[api], numbers(e.Size, e.Rate, e.Spent, e.Need, e.Extra, e.Full)).ToString()
		return err
	})
	if err != nil {
		return pace.Balance{}, err
	}
	return balance(answer)
}

func numbers(all ...float64) (texts []string) {
	for _, x := range all {
		texts = append(texts, strconv.FormatFloat(x, 'f', 6, 64))
	}
	return texts
}

func balance(answer string) (pace.Balance, error) {
	var n [4]float64
	fields := strings.Fields(answer)
	if len(fields) != len(n) {
		return pace.Balance{}, fmt.Errorf("the ledger of the rate limit answers %d numbers", len(fields))
	}
	for i, text := range fields {
		var err error
		if n[i], err = strconv.ParseFloat(text, 64); err != nil {
			return pace.Balance{}, fmt.Errorf("the ledger of the rate limit: %w", err)
		}
	}
	due := time.Duration(max(n[0], -n[0])) * time.Microsecond
	return pace.Balance{Due: due, Promised: n[0] >= 0, Lent: n[1], Free: n[2], Returned: n[3]}, nil
}
