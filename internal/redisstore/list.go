package redisstore

import (
	"context"
	"iter"
	"strings"

	"github.com/redis/rueidis"

	"evergate/internal/envelope"
	"evergate/internal/token"
)

// atOnce is how many keys are asked for, and read, in one round trip.
const atOnce = 250

// All implements token.Backend. What is stored while it runs may be left out.
func (b *Backend) All(ctx context.Context) iter.Seq2[token.Listed, error] {
	return func(yield func(token.Listed, error) bool) {
		r, err := b.connected(ctx)
		if err != nil {
			yield(token.Listed{}, err)
			return
		}
		seen := map[string]bool{} // SCAN may say a key twice, and so may two servers while a slot moves
		for _, node := range b.masters(ctx, r) {
			for cursor := uint64(0); ; {
				entry, err := b.scan(ctx, node, cursor)
				if err != nil {
					yield(token.Listed{}, err)
					return
				}
				if !b.list(ctx, r, fresh(b.domains(entry.Elements), seen), yield) {
					return
				}
				if cursor = entry.Cursor; cursor == 0 {
					break
				}
			}
		}
	}
}

func (b *Backend) scan(caller context.Context, node rueidis.Client, cursor uint64) (rueidis.ScanEntry, error) {
	ctx, cancel := context.WithTimeout(caller, patience)
	defer cancel()
	entry, err := node.Do(ctx, node.B().Scan().Cursor(cursor).Match(b.prefixOf(grantKind)+"*").Count(atOnce).Build()).AsScanEntry()
	if err != nil {
		return entry, b.because(caller, err)
	}
	return entry, nil
}

// domains are the shops whose records have these keys.
func (b *Backend) domains(keys []string) (domains []string) {
	for _, key := range keys {
		if domain, ok := b.domain(key); ok {
			domains = append(domains, domain)
		}
	}
	return domains
}

// domain is the shop whose record has this key.
func (b *Backend) domain(key string) (string, bool) {
	rest, ok := strings.CutPrefix(key, b.prefixOf(grantKind))
	name, closed := strings.CutSuffix(rest, "}")
	shop, err := token.ParseShop(name)
	return name, ok && closed && err == nil && shop.Domain() == name
}

func fresh(domains []string, seen map[string]bool) (unseen []string) {
	for _, domain := range domains {
		if !seen[domain] {
			seen[domain] = true
			unseen = append(unseen, domain)
		}
	}
	return unseen
}

// list reads records and yields them; false: nobody wants more, or no more can be had.
func (b *Backend) list(caller context.Context, r *redis, domains []string, yield func(token.Listed, error) bool) bool {
	if len(domains) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(caller, patience)
	defer cancel()
	commands := make(rueidis.Commands, 0, len(domains))
	for _, domain := range domains {
		commands = append(commands, r.B().Get().Key(b.key(grantKind, domain)).Build())
	}
	answers := r.DoMulti(ctx, commands...)
	for i, domain := range domains {
		value, err := answers[i].AsBytes()
		if rueidis.IsRedisNil(err) {
			continue // it has been removed meanwhile
		}
		if err != nil && !isRefused(err) {
			yield(token.Listed{}, b.because(caller, err))
			return false
		}
		listed := token.Listed{Domain: domain}
		if err != nil {
			err = b.failure(err)
		} else {
			shop, _ := token.ParseShop(domain) // domain looked at it
			listed.Record, listed.Handle, err = unpack(envelope.Codec{Shop: shop, Keys: b.keys}, value)
		}
		if !yield(listed, err) {
			return false
		}
	}
	return true
}
