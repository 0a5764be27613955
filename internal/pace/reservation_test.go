package pace

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// counter is an Observer.
type counter struct {
	waits     []time.Duration
	throttled []string
}

func (c *counter) Waited(d time.Duration) { c.waits = append(c.waits, d) }
func (c *counter) Throttled(api string)   { c.throttled = append(c.throttled, api) }

func response(status int, body string, headers ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1}
}

// observe shows an answer to r, as the request path does.
func observe(r *Reservation, resp *http.Response) (again bool) {
	resp.Body, again = r.Observe(Answer{Status: resp.StatusCode, Header: resp.Header, Body: resp.Body, Length: resp.ContentLength})
	return again
}

// do sends one request and reads its answer, as the request path does.
func do(t *testing.T, p *Pacer, api API, body string, resp *http.Response) (read string, again bool) {
	t.Helper()
	r := p.Reserve(api, Caller{Key: "me"}, []byte(body))
	if _, err := r.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	again = observe(&r, resp)
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return string(b), again
}

const callLimitHeader = "X-Shopify-Shop-Api-Call-Limit"

func TestTheSecondRunOfAQueryWaitsBeforeItIsSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := &counter{}
		p := New(Options{MaxWait: time.Minute, Observer: seen})
		const query = `{"query":"{ products(first: 250) { nodes { id } } }"}`
		expensive := strings.NewReplacer(`"requestedQueryCost":2`, `"requestedQueryCost":862`, `"actualQueryCost":2`, `"actualQueryCost":158`,
			"3998", "700").Replace(successBody)
		do(t, p, GraphQL, query, response(200, expensive))
		began := time.Now()
		do(t, p, GraphQL, query, response(200, expensive))
		// 862 are needed and 700 are there: (862-700)/200 per second.
		if took := time.Since(began); took < 800*time.Millisecond || took > 820*time.Millisecond {
			t.Errorf("the second run waited %s, want 810ms", took)
		}
		if len(seen.waits) != 1 || len(seen.throttled) != 0 {
			t.Errorf("waits %v, throttled %v", seen.waits, seen.throttled)
		}
	})
}

func TestAThrottledQueryComesBackWhenItFits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := &counter{}
		p := New(Options{MaxWait: time.Minute, Observer: seen})
		r := p.Reserve(GraphQL, Caller{Key: "me"}, []byte(`{"query":"{ a }"}`))
		if _, err := r.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !observe(&r, response(200, throttledBody)) {
			t.Fatal("not seen as a refusal")
		}
		began := time.Now()
		if _, err := r.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 1450*time.Millisecond || took > 1460*time.Millisecond { // (862-572)/200
			t.Errorf("came back after %s, want 1.45s", took)
		}
		if len(seen.throttled) != 1 || seen.throttled[0] != "graphql" {
			t.Errorf("throttled %v", seen.throttled)
		}
	})
}

func TestBodiesPassByteForByteHoweverTheyAreCompressed(t *testing.T) {
	t.Parallel()
	for _, plain := range []string{successBody, throttledBody, tooDearBody, deniedBody, "", "{", "<html>", `{"data":{"a":"` + strings.Repeat("x", 100_000) + `"}}`, `{"errors":"` + strings.Repeat("y", 50_000)} {
		for name, compress := range compressions {
			body := compress(plain)
			for _, slow := range []bool{false, true} {
				p := New(Options{MaxWait: time.Minute})
				resp := response(200, body, "Content-Encoding", name)
				if slow {
					resp.Body = io.NopCloser(iotest.OneByteReader(strings.NewReader(body)))
				}
				if got, _ := do(t, p, GraphQL, "{ a }", resp); got != body {
					t.Errorf("%s of %.20q (slow: %v) came as %d bytes instead of %d", name, plain, slow, len(got), len(body))
				}
				if n := p.graphQL.bucket.inFlight.Load(); n != 0 {
					t.Errorf("%d are still in flight", n)
				}
			}
		}
	}
}

var compressions = map[string]func(string) string{
	"identity": func(s string) string { return s },
	"gzip":     gzipped,
	"deflate": func(s string) string {
		return compressed(s, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
	},
	"br":            brotlied,
	"zstd":          zstandard,
	"unknown":       func(s string) string { return "unknown to us " + s },
	"X-GZIP":        gzipped,
	"gzip, zstd":    func(s string) string { return zstandard(gzipped(s)) },
	"zstd ,\tbr":    func(s string) string { return brotlied(zstandard(s)) },
	"identity,ZSTD": zstandard,
}

func gzipped(s string) string {
	return compressed(s, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
}

func brotlied(s string) string {
	return compressed(s, func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) })
}

// zstandard compresses as it is done for a body whose length is not known: with a window of 8 MiB.
func zstandard(s string) string {
	return compressed(s, func(w io.Writer) io.WriteCloser { return zstdWriter(w) })
}

func zstdWriter(w io.Writer, options ...zstd.EOption) *zstd.Encoder {
	z, err := zstd.NewWriter(w, append(options, zstd.WithEncoderConcurrency(1))...)
	if err != nil {
		panic(err) // an option of a test's is wrong
	}
	return z
}

func compressed(s string, open func(io.Writer) io.WriteCloser) string {
	var b bytes.Buffer
	w := open(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.String()
}

func TestARefusalIsRecognisedHoweverItIsCompressed(t *testing.T) {
	t.Parallel()
	for name, compress := range compressions {
		p := New(Options{MaxWait: time.Minute})
		_, again := do(t, p, GraphQL, "{ a }", response(200, compress(throttledBody), "Content-Encoding", name))
		if want := name != "unknown"; again != want {
			t.Errorf("%s: recognised %v", name, again)
		}
		if states := p.States(); name != "unknown" && (len(states) != 1 || states[0].Capacity != 4000 || states[0].Rate != 200) {
			t.Errorf("%s: learnt %+v", name, states)
		}
	}
}

// stalled is a body whose first part is there and whose rest does not come.
type stalled struct {
	first string
	rest  chan struct{}
}

func (s *stalled) Read(p []byte) (int, error) {
	if s.first == "" {
		<-s.rest
		return 0, io.EOF
	}
	n := copy(p, s.first)
	s.first = s.first[n:]
	return n, nil
}
func (*stalled) Close() error { return nil }

func TestASlowAnswerIsNotHeldBack(t *testing.T) {
	t.Parallel()
	zipped := gzipped(strings.Repeat(`{"data":{"products":[{"id":1},`, 400))
	var flushed bytes.Buffer
	z := zstdWriter(&flushed)
	_, _ = io.WriteString(z, `{"data":{"products":[{"id":1},`)
	_ = z.Flush()
	for name, first := range map[string]string{
		"data":     `{"data":{"products":`,
		"not_json": "<html>",
		"zstd":     flushed.String(),
		"unknown":  "\x28\xb5\x2f\xfd",
		"gzip":     zipped[:len(zipped)/2],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp := response(200, "")
			if name != "data" && name != "not_json" {
				resp.Header.Set("Content-Encoding", name)
			}
			body := &stalled{first, make(chan struct{})}
			resp.Body = body
			p := New(Options{MaxWait: time.Minute})
			r := p.Reserve(GraphQL, Caller{Key: "me"}, nil)
			if _, err := r.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			observe(&r, resp) // would never return
			got := make([]byte, len(first))
			if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != first {
				t.Errorf("%q, %v", got, err)
			}
			close(body.rest)
		})
	}
}

func TestAnAnswerThatBreaksOffBreaksOffForTheClientToo(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	for _, read := range []string{"", `{"err`, throttledBody, `{"data":{`} {
		resp := response(200, "")
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(read), iotest.ErrReader(broken)))
		p := New(Options{MaxWait: time.Minute})
		r := p.Reserve(GraphQL, Caller{Key: "me"}, nil)
		_, _ = r.Wait(t.Context())
		if observe(&r, resp) {
			t.Errorf("%q and then nothing is taken for a refusal", read)
		}
		got, err := io.ReadAll(resp.Body)
		if string(got) != read || !errors.Is(err, broken) {
			t.Errorf("%q, %v", got, err)
		}
	}
}

func TestRESTLearnsItsLimitFromTheFirstAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{MaxWait: time.Minute})
		if p.States() != nil {
			t.Error("something is claimed before Shopify has said anything")
		}
		do(t, p, REST, "", response(200, "{}", callLimitHeader, "100/400"))
		s := p.States()
		if len(s) != 1 || s[0].API != "rest" || s[0].Capacity != 400 || s[0].Available < 299.9 || s[0].Available > 301 {
			t.Fatalf("%+v", s)
		}
		if s[0].Rate < 19 || s[0].Rate > 20 {
			t.Errorf("a rate of %v, want nearly 20", s[0].Rate)
		}
	})
}

func TestA429IsSentAgainAndNamesItsRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{MaxWait: time.Minute})
		do(t, p, REST, "", response(200, "{}", callLimitHeader, "1/40"))
		r := p.Reserve(REST, Caller{Key: "me"}, nil)
		if _, err := r.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		const text = `{"errors":"Exceeded 4 calls per second for api client. Reduce request rates to resume uninterrupted service."}`
		resp := response(429, text, "Retry-After", "4.0")
		if !observe(&r, resp) {
			t.Fatal("not seen as a refusal")
		}
		if b, _ := io.ReadAll(resp.Body); string(b) != text {
			t.Errorf("the refusal is now %q", b)
		}
		began := time.Now()
		if _, err := r.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 260*time.Millisecond {
			t.Errorf("waited %s for one call at 4 a second", took)
		}
	})
}

func TestA429FromABucketThatNobodyKnowsWaitsAsLongAsShopifyAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{MaxWait: time.Minute})
		r := p.Reserve(REST, Caller{Key: "me"}, nil)
		_, _ = r.Wait(t.Context())
		if !observe(&r, response(429, "slow down", "Retry-After", "7.5")) {
			t.Fatal("not seen as a refusal")
		}
		began := time.Now()
		_, _ = r.Wait(t.Context())
		if took := time.Since(began); took < 7500*time.Millisecond || took > 8*time.Second {
			t.Errorf("waited %s, want 7.5s", took)
		}
	})
}

func TestWhereNoLimitIsReportedNoneIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{MaxWait: time.Minute})
		began := time.Now()
		for range 1000 {
			do(t, p, REST, "", response(200, "{}"))
			do(t, p, GraphQL, "{ a }", response(200, `{"data":{}}`))
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("a thousand calls took %s, on an assumption", took)
		}
	})
}

func TestWhatWasNotSentIsNotCharged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{MaxWait: time.Minute})
		for range 100 {
			r := p.Reserve(REST, Caller{Key: "me"}, nil)
			if _, err := r.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.Cancel(false)
		}
		if a := p.rest.bucket.available(p.now()); a != 40 {
			t.Errorf("room for %v", a)
		}
		do(t, p, REST, "", response(200, "{}", callLimitHeader, "0/40"))
		r := p.Reserve(REST, Caller{Key: "me"}, nil)
		_, _ = r.Wait(t.Context())
		r.Cancel(true)
		if a := p.rest.bucket.available(p.now()); a < 38.9 || a > 39.1 {
			t.Errorf("room for %v after a call that may have been counted", a)
		}
	})
}

func TestACancelledWaitChargesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{MaxWait: time.Hour})
		p.rest.bucket.force(p.now(), 40)
		ctx, cancel := context.WithCancel(t.Context())
		gone := errors.New("gone")
		results := make(chan error)
		for range 5 {
			go func() {
				r := p.Reserve(REST, Caller{Key: "me"}, nil)
				_, err := r.Wait(ctx)
				results <- err
			}()
		}
		synctest.Wait()
		if n := p.rest.queue.waiting.Load(); n != 5 {
			t.Errorf("%d wait", n)
		}
		cancel()
		for range 5 {
			if err := <-results; !errors.Is(err, context.Canceled) {
				t.Errorf("%v, %v", err, gone)
			}
		}
		q := p.rest.queue
		if q.waiting.Load() != 0 || q.active != 0 || len(q.groups) != 0 || p.rest.bucket.inFlight.Load() != 40 {
			t.Errorf("left behind: %d waiting, %d active, %d groups, %d in flight", q.waiting.Load(), q.active, len(q.groups), p.rest.bucket.inFlight.Load())
		}
	})
}

func TestANilPacerLetsEverythingPass(t *testing.T) {
	t.Parallel()
	var p *Pacer
	resp := response(429, "no")
	if got, again := do(t, p, REST, "", resp); again || got != "no" || p.States() != nil {
		t.Errorf("%q, %v", got, again)
	}
}

func TestACallThatDoesNotWaitAllocatesNothing(t *testing.T) {
	p := New(Options{MaxWait: time.Minute})
	resp := response(200, "{}", callLimitHeader, "1/40")
	ctx := context.Background()
	caller := Caller{Key: "me"}
	n := testing.AllocsPerRun(100, func() {
		r := p.Reserve(REST, caller, nil)
		_, _ = r.Wait(ctx)
		observe(&r, resp)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// sentUntilServed sends one request until it is not refused or its time is over, and counts.
func sentUntilServed(t *testing.T, p *Pacer, api API, answer func() *http.Response) (sent int) {
	t.Helper()
	r := p.Reserve(api, Caller{Key: "me"}, []byte("{ a }"))
	for {
		if _, err := r.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		sent++
		resp := answer()
		more := observe(&r, resp)
		_ = resp.Body.Close()
		if !more {
			return sent
		}
		time.Sleep(20 * time.Millisecond) // the way there and back, in faked time
	}
}

func TestARefusalThatTheModelCannotExplainIsNotRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"no_cost":        `{"errors":[{"extensions":{"code":"THROTTLED"}}]}`,
		"room_is_there":  strings.Replace(throttledBody, "572", "3900", 1),
		"cost_not_known": strings.Replace(throttledBody, `"requestedQueryCost":862,`, "", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := New(Options{MaxWait: 8 * time.Second})
				do(t, p, GraphQL, "{ b }", response(200, successBody)) // the bucket is known
				if n := sentUntilServed(t, p, GraphQL, func() *http.Response { return response(200, body) }); n > 10 {
					t.Errorf("sent %d times in eight seconds", n)
				}
			})
		})
	}
}

func TestWhatHasRunIsNoRefusal(t *testing.T) {
	t.Parallel()
	p := New(Options{MaxWait: time.Minute})
	for _, body := range []string{
		`{"data":null,"errors":[{"path":["b"],"extensions":{"code":"THROTTLED"}}],"extensions":{"cost":{"requestedQueryCost":20,"actualQueryCost":20}}}`,
		`{"errors":[{"path":["b"],"extensions":{"code":"THROTTLED"}}]}`,
		strings.Replace(throttledBody, `"actualQueryCost":null`, `"actualQueryCost":20`, 1),
	} {
		if got, again := do(t, p, GraphQL, "{ a }", response(200, body)); again || got != body {
			t.Errorf("%s is sent again", body)
		}
	}
}

func TestA429OfGraphQLSaysNothingOfPoints(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{MaxWait: time.Minute})
		do(t, p, GraphQL, "{ a }", response(200, successBody))
		before := *p.graphQL.bucket.limit.Load()
		_, more := do(t, p, GraphQL, "{ a }", response(429, "Exceeded 2 calls per second for api client.", "Retry-After", "2.0"))
		if after := *p.graphQL.bucket.limit.Load(); !more || after != before {
			t.Errorf("again %v, the limit is now %v and was %v", more, after, before)
		}
	})
}

func TestAnotherPlansRateIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{MaxWait: time.Minute})
		do(t, p, REST, "", response(200, "{}", callLimitHeader, "1/40"))
		do(t, p, REST, "", response(429, "Exceeded 2 calls per second for api client."))
		do(t, p, REST, "", response(200, "{}", callLimitHeader, "1/80"))
		if rate := p.rest.bucket.limit.Load().rate; rate < 3.9 {
			t.Errorf("80 calls refill at %v a second", rate)
		}
	})
}

func TestNoMoreIsGivenBackThanWasTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{MaxWait: time.Millisecond})
		do(t, p, REST, "", response(200, "{}", callLimitHeader, "40/40"))
		var all []Reservation
		for range 30 { // all are sent although nothing fits, and none gets there
			r := p.Reserve(REST, Caller{Key: "me"}, nil)
			if _, err := r.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
		for i := range all {
			all[i].Cancel(false)
		}
		if room := p.rest.bucket.available(p.now()); room > 1.5 {
			t.Errorf("there is room for %.1f calls, of which nobody has said anything", room)
		}
	})
}
