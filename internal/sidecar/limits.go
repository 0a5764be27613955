package sidecar

import (
	"context"
	"net"
	"net/http"
	"time"

	"evergate/internal/config"
	"evergate/internal/limit"
	"evergate/internal/metrics"
)

const (
	// clientStall is how long a body may stand still, and an answer wait for its client.
	clientStall = 40 * time.Second
	// mostOperators and mostMerchants are the connections that the other listeners may have; their descriptors are
	// set aside, so that probes and scrapes are answered whatever the tools do.
	mostOperators, mostMerchants = 16, 16
)

// limits are what bounds the clients of this process.
type limits struct {
	memory                      *limit.Budget
	tools, operators, merchants *limit.Connections
}

// LimitsOf are the limits that the settings and the machine make.
func LimitsOf(cfg *config.Config) limit.Limits {
	return limit.Of(cfg.MaxConnections, int64(cfg.MemoryBudget))
}

func newLimits(l limit.Limits) limits {
	budget := limit.NewBudget(l.Memory)
	return limits{
		memory:    budget,
		tools:     limit.NewConnections(l.Connections, budget, clientStall),
		operators: limit.NewConnections(mostOperators, limit.NewBudget(limit.SmallestBudget), 0),
		merchants: limit.NewConnections(mostMerchants, limit.NewBudget(limit.SmallestBudget), 0),
	}
}

// connectionStates are what is published of the connections.
func (l *limits) connectionStates() (all []metrics.ConnectionState) {
	for _, c := range []struct {
		listener string
		set      *limit.Connections
	}{{"tools", l.tools}, {"operators", l.operators}, {"merchants", l.merchants}} {
		all = append(all, metrics.ConnectionState{Listener: c.listener, Open: c.set.Open(), Limit: c.set.Limit(), Closed: c.set.Closed()})
	}
	return all
}

func (l *limits) memoryState() metrics.MemoryState {
	return metrics.MemoryState{Held: l.memory.Held(), Budget: l.memory.Most(), Refused: l.memory.Refused()}
}

// connState is the ConnState of the server for tools.
func (s *Sidecar) connState(c net.Conn, state http.ConnState) {
	limit.State(c, state)
	s.pending.state(c, state)
}

// connContext is its ConnContext, and that of the server for operators.
func (s *Sidecar) connContext(ctx context.Context, c net.Conn) context.Context {
	return s.access.ConnContext(limit.WithConn(ctx, c), c)
}
