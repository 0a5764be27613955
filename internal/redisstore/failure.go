package redisstore

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"

	"github.com/redis/rueidis"

	"evergate/internal/brief"
	"evergate/internal/netfail"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

// longestReason is what an answer of the server may take of a line.
const longestReason = 200

// failure says what a command came to. The library's texts are not passed on: they may quote what was sent.
func (b *Backend) failure(err error) error {
	if answer, ok := errors.AsType[*rueidis.RedisError](err); ok {
		return b.answered(answer)
	}
	if own, ok := errors.AsType[*fileError](err); ok {
		return own
	}
	failed := &unreachable{b.address.servers, err}
	return token.Decide(token.ErrTransient, remedy.New(b.lookFor(failed), "%w", failed))
}

// lookFor is what to do where a server cannot be reached. One without TLS waits on in silence for the end of what it takes for a command.
func (b *Backend) lookFor(failed *unreachable) string {
	if b.address.option.TLSConfig != nil && failed.mayLackTLS() {
		return "look whether the server speaks TLS there, as rediss:// says (without it the address begins with redis://), whether it runs, and whether this machine may connect to it"
	}
	return "look whether the server runs, and whether this machine may connect to it"
}

// unreachable is an error of a connection.
type unreachable struct {
	servers string
	err     error
}

// Error implements error. It quotes nothing that came over the wire.
func (e *unreachable) Error() string {
	why := netfail.Say(e.err)
	switch {
	case errors.Is(e.err, rueidis.ErrClosing):
		why = "the connection was closed"
	case strings.Contains(why, "HTTP"): // its last resort
		why = "the connection ended, or what answers is no Redis"
	}
	return "Redis at " + e.servers + " cannot be reached: " + why
}

// Unwrap returns the cause.
func (e *unreachable) Unwrap() error { return e.err }

// mayLackTLS reports whether it went as with a server that does not speak TLS: no answer, or none of TLS.
func (e *unreachable) mayLackTLS() bool {
	var (
		network net.Error
		record  tls.RecordHeaderError
	)
	return errors.Is(e.err, context.DeadlineExceeded) || errors.As(e.err, &network) && network.Timeout() || errors.As(e.err, &record)
}

// refused is an answer of the server that is an error.
type refused struct {
	text string
	err  *rueidis.RedisError
}

// Error implements error.
func (e *refused) Error() string { return e.text }

// Unwrap returns the cause.
func (e *refused) Unwrap() error { return e.err }

// leadToMaster is what helps where a replica is asked.
const leadToMaster = "let EVERGATE_STORE lead to the master, or give master_set so that Sentinel says which it is"

// demoted says that a replica was asked for what it has not.
func (b *Backend) demoted() error {
	return token.Decide(token.ErrTransient, remedy.New(leadToMaster, "Redis at %s is a replica, so that it has no record says nothing", b.address.servers))
}

// remedies are by the word with which an answer begins. What passes may be over at the next attempt, without anybody's doing: a failover, a
// start.
var remedies = []struct {
	code, do string
	passes   bool
}{
	{"WRONGPASS", "check the user and the password in EVERGATE_STORE", false},
	{"NOAUTH", "give a user and a password in EVERGATE_STORE", false},
	{"NOPERM", "give the user the rights that docs/operating/store-redis.md lists", false},
	{"READONLY", leadToMaster, true},
	{"OOM", "raise maxmemory, or remove what else is stored there", true},
	{"MISCONF", "see the server's log: it cannot write to its disk", true},
	{"NOREPLICAS", "see to the replicas, of which min-replicas-to-write asks more than there are", true},
	{"LOADING", "wait until the server has read its data", true},
	{"MASTERDOWN", "see to the master", true},
	{"CLUSTERDOWN", "see to the Cluster: some of its slots are served by nobody", true},
	{"TRYAGAIN", "wait until the Cluster has moved its slots", true},
	{"AUTH", "leave the password out of EVERGATE_STORE, or give the server one", false},
}

// answered keeps the first line of what the server said, without what it quotes.
func (b *Backend) answered(err *rueidis.RedisError) error {
	text, _, _ := strings.Cut(err.Error(), "\n")
	if i := strings.Index(text, ", with args beginning with"); i >= 0 {
		text = text[:i]
	}
	e := &refused{"Redis at " + b.address.servers + " answers: " + brief.Text(b.redact(text), longestReason), err}
	for _, r := range remedies {
		if !strings.HasPrefix(text, r.code) {
			continue
		}
		said := remedy.New(r.do, "%w", e)
		if r.passes {
			return token.Decide(token.ErrTransient, said)
		}
		return said
	}
	return remedy.New("see docs/operating/store-redis.md for what the server must be", "%w", e)
}

// redact takes the passwords out of a text.
func (b *Backend) redact(text string) string {
	for _, secret := range b.address.secrets {
		text = strings.ReplaceAll(text, secret.Reveal(), "[redacted]")
	}
	if filed := b.address.filed.Load(); filed != nil && *filed != "" {
		text = strings.ReplaceAll(text, *filed, "[redacted]")
	}
	return text
}

// isRefused tells an answer of the server from a connection that failed.
func isRefused(err error) bool {
	_, is := errors.AsType[*rueidis.RedisError](err)
	return is
}

// because is failure, unless it was the caller who gave up.
func (b *Backend) because(caller context.Context, err error) error {
	if caller.Err() == nil || isRefused(err) {
		return b.failure(err)
	}
	if cause := context.Cause(caller); !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return b.failure(context.DeadlineExceeded)
}
