package sidecar

import (
	"context"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"evergate/internal/admin"
	"evergate/internal/config"
	"evergate/internal/front"
	"evergate/internal/inject"
	"evergate/internal/limit"
	"evergate/internal/login"
	"evergate/internal/metrics"
)

const (
	headerTimeout = 10 * time.Second // a header that never ends is cut off
	clientIdle    = 2 * time.Minute
	largestHeader = 128 << 10
	// mostStreams is how many requests a connection of HTTP/2 may have at a time: as RFC 9113, 6.5.2, has it, no less.
	mostStreams = 100
	// uploadBuffer is how much of its requests' bodies a connection of HTTP/2 may have lie here unread.
	uploadBuffer = 256 << 10
	// mostHeaderValues is far more than any tool sends, and less than would make net/http's map dear.
	mostHeaderValues = 1000
	// largestLoginHeader is plenty for a cookie and a callback.
	largestLoginHeader = 32 << 10
	adminAnswerTime    = 30 * time.Second
)

// serverForTools answers tools: the request path.
func (s *Sidecar) serverForTools(met *metrics.Metrics, errorLog *log.Logger) *front.Server {
	s.handler = inject.New(inject.Options{
		Shops: s.served, Admission: s.admission, Transport: s.app.Transport, Tunnels: s.tunnels,
		ReplayBuffer: int64(s.cfg.ReplayBuffer), Memory: s.limits.memory, Metrics: met, Log: s.log.Logger,
		Access: accessLog(s.cfg, s.log.whole), AuditDenials: s.auditLog(), Tracer: s.tracer, Stopping: &s.stopping,
	})
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: headerTimeout, IdleTimeout: clientIdle, MaxHeaderBytes: largestHeader, ErrorLog: errorLog,
		DisableGeneralOptionsHandler: true, // OPTIONS * is judged like everything else
		HTTP2:                        &http.HTTP2Config{MaxConcurrentStreams: mostStreams, MaxReceiveBufferPerStream: inject.StreamBuffer, MaxReceiveBufferPerConnection: uploadBuffer},
		ConnState:                    s.connState,
		BaseContext:                  func(l net.Listener) context.Context { return s.access.BaseContext(front.Inner(l)) }, ConnContext: s.connContext,
	}
	server.RegisterOnShutdown(s.pending.abandon)
	limitHeader(server)
	f := front.New(server, s.handler)
	f.HandlerOnlyReads()
	return f
}

// withRuntime is a registry and what there is to say of the process and of Go. What is only read to be scraped is kept apart: the system
// is asked for it with a dozen of calls, and pages and histories are made from the rest.
func withRuntime(ours *prometheus.Registry) *prometheus.Registry {
	all := prometheus.NewRegistry()
	all.MustRegister(ours, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return all
}

// serverForOperators answers people, probes and Prometheus.
func (s *Sidecar) serverForOperators(registry *prometheus.Registry, met *metrics.Metrics, build Build, getenv func(string) string, errorLog *log.Logger) *http.Server {
	return &http.Server{
		Handler: limit.LingerUnread(admin.New(admin.Options{
			Tokens: s.tokens(), Shops: s.shownShops(), Admission: s.admission, Gatherer: registry, Scraped: withRuntime(registry), History: s.history, Quit: s.beginQuit, Stopping: s.stopping.Load, Version: build.Version,
			Notices: s.notices, Failures: failuresOf(met), Waits: waitsOf(met), Unpaced: s.cfg.Pace == config.PaceOff,
			Entrances: s.entrances, Policy: s.access.Summary, Setup: s.setup(build, getenv), LogLevel: s.log.setLevel, MayCommand: s.access.MayCommand, Exchange: s.exchange(), Roots: s.ca.Roots,
		})),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, WriteTimeout: adminAnswerTime + headerTimeout,
		IdleTimeout: clientIdle, MaxHeaderBytes: largestHeader, ErrorLog: errorLog, ConnState: limit.State,
		BaseContext: s.access.BaseContext, ConnContext: s.connContext,
	}
}

// serverForMerchants serves the login behind the public address, and nothing else; it is nil when
// there is no such address, or no grant that a login obtains.
func (s *Sidecar) serverForMerchants(errorLog *log.Logger) *http.Server {
	var handler http.Handler
	switch {
	case s.cfg.Public == nil:
		return nil
	case s.many != nil && s.many.logins != nil:
		handler = s.many.logins.Hosted(s.cfg.Public, s.log.Logger)
	case s.shop != nil && s.shop.login != nil:
		handler = s.shop.login.Hosted(s.cfg.Public, s.log.Logger)
	default:
		s.log.Warn("configuration", "warning", "EVERGATE_PUBLIC_URL has no effect, because a login obtains an offline grant: set EVERGATE_GRANT=offline")
		return nil
	}
	s.log.Info("a merchant can authorise the app", "address", s.cfg.Public.JoinPath(login.StartPath).String())
	return &http.Server{
		Handler:           limit.LingerUnread(handler),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, WriteTimeout: adminAnswerTime + headerTimeout,
		IdleTimeout: clientIdle, MaxHeaderBytes: largestLoginHeader, ErrorLog: errorLog, ConnState: limit.State,
		ConnContext: limit.WithConn,
	}
}

func (s *Sidecar) tokens() admin.Tokens {
	if s.many != nil {
		return fleetTokens{s.many}
	}
	return s.shop.source
}

func (s *Sidecar) exchange() http.Handler {
	switch {
	case s.shop != nil:
		return s.shop.exchange()
	case s.many.logins != nil:
		return s.many.logins.ExchangeHandler(s.log.Logger)
	}
	return http.HandlerFunc(noExchange)
}

func (s *Sidecar) shownShops() admin.Shops {
	if s.many == nil {
		return nil // not a nil *many in an interface
	}
	return shownShops{s.many}
}
