//go:build unix

package inject

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"evergate/internal/clock"
	"evergate/internal/pace"
	"evergate/internal/refresh"
	"evergate/internal/request"
	"evergate/internal/shopify"
	"evergate/internal/token"
)

// stage is a part of a request's way, as ServeHTTP goes it, which can be run alone again and again.
type stage struct {
	name string
	run  func(*staged)
	// before is what a request has behind it by then, and after what has to follow for the next one; neither is measured.
	before, after func(*staged)
}

// stages are in the order in which a request meets them.
var stages = []stage{
	{name: "observe", run: func(s *staged) { s.h.opt.Metrics.RequestStarted(); s.h.observe(&s.rec) }},
	{name: "admit", run: (*staged).admit},
	{name: "body", before: (*staged).admit, run: (*staged).body},
	{name: "token", run: (*staged).token},
	{name: "pace, reserve", before: (*staged).withBody, run: (*staged).reserve, after: func(s *staged) { s.rec.reservation.Cancel(false) }},
	{name: "request", before: (*staged).withBody, run: func(s *staged) {
		out := s.h.outgoing(&s.rec)
		s.rec.body.attach(out)
		out.setToken(s.tok)
	}},
	{name: "pace, observe", before: func(s *staged) { s.withBody(); s.reserve(); s.answered() }, run: (*staged).learnRate, after: (*staged).readAnswer},
	{name: "response", before: func(s *staged) { s.withBody(); s.reserve(); s.answered(); s.learnRate() },
		run: func(s *staged) { s.h.copyResponse(s.w, &s.rec, s.resp) }},
	{name: "whole", run: func(s *staged) { s.h.ServeHTTP(s.w, s.in.again()) }},
}

// staged is a handler and a request on its way through it.
type staged struct {
	h         *Handler
	tokens    *refresh.Source // the shipped one, which has a token
	transport *instant
	in        *incoming
	w         *sink
	tok       token.Token
	rec       record
	resp      *http.Response
	fatal     func(args ...any)
}

func newStaged(t testing.TB, c call) *staged {
	t.Helper()
	s := &staged{h: c.handler(t).(*Handler), transport: c.transport(), in: c.incoming(t), w: newSink(), tok: token.Token{Access: token.NewSecret("shpat_bench")}, fatal: t.Fatal}
	s.tokens = refresh.New(refresh.Options{Shop: oneShop(s.h.opt).Shop, Log: slog.New(slog.DiscardHandler), Obtainer: refresh.Direct(onlyToken(s.tok))})
	s.token()
	return s
}

type onlyToken token.Token

func (onlyToken) Name() string { return "static" }
func (o onlyToken) Grant(context.Context) (token.Token, error) {
	return token.Token{Access: o.Access, Issued: time.Now(), Life: 24 * time.Hour}, nil
}

// begin is a new request of the same kind.
func (s *staged) begin() {
	s.w.begin()
	s.rec = record{in: s.in.again(), began: clock.Mono(), route: shopify.RouteOther, status: http.StatusOK}
}

func (s *staged) admit() {
	view := request.Of(s.rec.in)
	var err error
	if s.rec.passage, err = s.h.opt.Admission.Admit(&view); err != nil {
		s.fatal(err)
	}
	s.rec.shop = oneShop(s.h.opt)
	s.rec.route = s.rec.passage.Target.Route
}

func (s *staged) body() {
	if err := s.h.readBody(&s.rec); err != nil {
		s.fatal(err)
	}
}

func (s *staged) withBody() { s.admit(); s.body() }

func (s *staged) token() {
	if _, err := s.tokens.Token(context.Background()); err != nil {
		s.fatal(err)
	}
}

func (s *staged) reserve() {
	s.rec.reservation = s.rec.shop.Pace.Reserve(s.rec.passage.Target.API, s.rec.caller(), s.rec.body.whole)
	if _, err := s.rec.reservation.Wait(context.Background()); err != nil {
		s.fatal(err)
	}
}

func (s *staged) answered() {
	s.transport.reader.Reset(s.transport.body)
	s.transport.answer = http.Response{StatusCode: http.StatusOK, Header: s.transport.header, ContentLength: int64(len(s.transport.body)), Body: s.transport}
	s.resp = &s.transport.answer
}

func (s *staged) learnRate() {
	var again bool
	if s.resp.Body, again = s.rec.reservation.Observe(pace.Answer{Status: s.resp.StatusCode, Header: s.resp.Header, Body: s.resp.Body, Length: s.resp.ContentLength}); again {
		s.fatal("a good answer is to be asked for again")
	}
}

// readAnswer is what a client does, after which the pacer's buffers are free for the next request.
func (s *staged) readAnswer() {
	if err := s.h.stream(s.w, s.resp.Body); err != nil || s.w.bytes != len(s.transport.body) {
		s.fatal(err, s.w.bytes)
	}
	_ = s.resp.Body.Close()
	s.rec.reservation.Release()
}

// round runs a stage for one request; measured is called around what is the stage's own.
func (s *staged) round(st stage, measured func(run func())) {
	s.begin()
	if st.before != nil {
		st.before(s)
	}
	measured(func() { st.run(s) })
	if st.after != nil {
		st.after(s)
	}
}

// BenchmarkStage is a request's way in parts. docs/developing/request-path.md has the table of what each allocates.
func BenchmarkStage(b *testing.B) {
	for _, st := range stages {
		for _, c := range calls {
			b.Run(strings.ReplaceAll(st.name, ", ", "-")+"/"+c.name, func(b *testing.B) {
				s := newStaged(b, c)
				b.ReportAllocs()
				b.StopTimer()
				for range b.N {
					s.round(st, func(run func()) { b.StartTimer(); run(); b.StopTimer() })
				}
			})
		}
	}
}
