package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/rueidis"

	"evergate/internal/remedy"
	"evergate/internal/token"
)

// Check implements token.Backend.
func (b *Backend) Check(caller context.Context) (findings []token.Finding) {
	ctx, cancel := context.WithTimeout(caller, 2*patience)
	defer cancel()
	r, err := b.connected(ctx)
	if err != nil {
		if ctx.Err() != nil && caller.Err() == nil {
			err = b.failure(context.DeadlineExceeded)
		}
		return []token.Finding{b.loses(err)}
	}
	if err := b.tryAll(ctx, r); err != nil {
		return []token.Finding{b.loses(err)}
	}
	for _, node := range b.masters(ctx, r) {
		for _, f := range b.fitness(ctx, node) {
			if !slices.Contains(findings, f) { // the servers of a Cluster are mostly alike
				findings = append(findings, f)
			}
		}
	}
	return append(findings, b.hearing(ctx, r)...)
}

func (b *Backend) loses(err error) token.Finding {
	text, do := remedy.Split(err)
	return token.Finding{Loses: true, Text: text, Do: do}
}

// tryAll does what is done with a grant and a lease, with keys that no shop can have.
func (b *Backend) tryAll(ctx context.Context, r *redis) error {
	const nobody = "_check"
	owner := rand.Text()
	lease := []string{b.key(leaseKind, nobody)}
	if err := r.acquire.Exec(ctx, r, lease, []string{owner, milliseconds(patience)}).Error(); err != nil {
		return b.failure(err)
	}
	if err := r.release.Exec(ctx, r, lease, []string{owner}).Error(); err != nil {
		return b.failure(err)
	}
	// From a handle that is never stored: the script reads and writes nothing, and a user without SET is found by the lease.
	grant := b.key(grantKind, nobody)
	if err := r.swap.Exec(ctx, r, []string{grant}, []string{owner, "", b.channel(), ""}).Error(); err != nil {
		return b.failure(err)
	}
	if err := r.Do(ctx, r.B().Get().Key(grant).Build()).Error(); err != nil && !rueidis.IsRedisNil(err) {
		return b.failure(err)
	}
	return nil
}

// fitness is what one server says of itself. What it may not say is not held against it.
func (b *Backend) fitness(ctx context.Context, node rueidis.Client) (findings []token.Finding) {
	info, err := node.Do(ctx, node.B().Info().Build()).ToString()
	if err != nil {
		info = ""
	}
	policy := b.setting(ctx, node, "maxmemory-policy")
	if policy == "" {
		policy = field(info, "maxmemory_policy")
	}
	if strings.HasPrefix(policy, "allkeys-") {
		findings = append(findings, token.Finding{
			Loses: true, Text: fmt.Sprintf("Redis at %s throws grants away when its memory is full (maxmemory-policy %s)", b.address.servers, policy),
			Do: "set maxmemory-policy to noeviction, or use a server or a service that is not a cache",
		})
	}
	if field(info, "role") == "slave" {
		findings = append(findings, token.Finding{
			Loses: true, Text: fmt.Sprintf("Redis at %s is a replica", b.address.servers),
			Do: "let EVERGATE_STORE lead to the master, or give master_set so that Sentinel says which it is",
		})
	}
	return append(findings, b.persistence(ctx, node, info)...)
}

func (b *Backend) persistence(ctx context.Context, node rueidis.Client, info string) []token.Finding {
	log, snapshots := b.setting(ctx, node, "appendonly"), b.setting(ctx, node, "save")
	switch {
	case log == "" && field(info, "aof_enabled") == "1", log == "yes":
		return nil
	case log == "" && info == "":
		return []token.Finding{{Text: fmt.Sprintf("whether Redis at %s writes to a disk is not known, because the user may use neither CONFIG nor INFO", b.address.servers), Do: "grant +info, or see to it yourself"}}
	case log == "no" && snapshots == "":
		return []token.Finding{{Text: fmt.Sprintf("Redis at %s keeps grants in memory alone: after a restart every shop needs a new login", b.address.servers), Do: "set appendonly to yes"}}
	}
	return []token.Finding{{Text: fmt.Sprintf("Redis at %s writes no log: what was stored since its last snapshot is lost when it ends", b.address.servers), Do: "set appendonly to yes"}}
}

// setting is a value of the server's configuration; empty: it is that, or may not be seen.
func (b *Backend) setting(ctx context.Context, node rueidis.Client, name string) string {
	values, err := node.Do(ctx, node.B().ConfigGet().Parameter(name).Build()).AsStrMap()
	if err != nil {
		return ""
	}
	return values[name]
}

// hearing says by which way changes are told, if it is not the best.
func (b *Backend) hearing(ctx context.Context, r *redis) []token.Finding {
	for _, node := range b.masters(ctx, r) {
		connection, _ := node.Dedicate()
		err := speaksResp3(ctx, connection)
		if err == nil {
			err = b.track(ctx, connection)
		}
		connection.Close()
		if isRefused(err) || errors.Is(err, errResp2) {
			return []token.Finding{{
				Text: fmt.Sprintf("Redis at %s tells of no changed keys (CLIENT TRACKING, or RESP3, is refused): replicas learn of a new token by messages, or late", b.address.servers),
				Do:   "permit CLIENT TRACKING to the user, and RESP3 in a proxy",
			}}
		}
	}
	return nil
}
