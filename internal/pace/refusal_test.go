package pace

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

const bucketRefusal = `{"errors":"Exceeded 2 calls per second for api client. Reduce request rates to resume uninterrupted service."}`

func TestA429ThatCarriesTheCallLimitIsTheBucketsRefusal(t *testing.T) {
	t.Parallel()
	for _, body := range []string{bucketRefusal, `{"errors":"Too many requests"}`, ""} {
		synctest.Test(t, func(t *testing.T) {
			p := New(Options{MaxWait: time.Minute})
			do(t, p, REST, "", response(200, "{}", callLimitHeader, "1/40"))
			r := p.Reserve(REST, Caller{Key: "me"}, nil)
			if _, err := r.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !observe(&r, response(429, body, callLimitHeader, "40/40", "Retry-After", "2.0")) {
				t.Fatalf("%q is passed on", body)
			}
			if room := p.rest.bucket.available(p.now()); room > 1 {
				t.Errorf("%q: there is room for %.1f calls", body, room)
			}
			began := time.Now()
			if _, err := r.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("%q: came back after %s; a call fits after half a second", body, took)
			}
		})
	}
}

// unexplained are refusals of a bucket that has room.
func unexplained() map[string]*http.Response {
	return map[string]*http.Response{
		"daily_limit": response(429, `{"errors":{"base":["Daily variant creation limit reached, please try again later."]}}`),
		"edge":        response(429, "<!DOCTYPE html><html><body>Too many requests</body></html>", "Content-Type", "text/html"),
		"nothing":     response(429, ""),
		"room":        response(429, `{"errors":"no"}`, callLimitHeader, "3/40"),
		"compressed":  response(429, compressions["gzip"](`{"errors":"no"}`), "Content-Encoding", "gzip"),
	}
}

func TestA429ThatContradictsTheBucketDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	for name, refusal := range unexplained() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := New(Options{MaxWait: 8 * time.Second})
				do(t, p, REST, "", response(200, "{}", callLimitHeader, "1/40"))
				do(t, p, REST, "", refusal)
				began := time.Now()
				for range 30 {
					r := p.Reserve(REST, Caller{Key: "another"}, nil)
					if _, err := r.Wait(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if took := time.Since(began); took > 0 {
					t.Errorf("thirty calls waited %s although there was room for them", took)
				}
			})
		})
	}
}

func TestWhatIsRefusedForEverIsHardlySentAgain(t *testing.T) {
	t.Parallel()
	for name := range unexplained() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := New(Options{MaxWait: 3 * time.Second})
				do(t, p, REST, "", response(200, "{}", callLimitHeader, "1/40"))
				if n := sentUntilServed(t, p, REST, func() *http.Response { return unexplained()[name] }); n > 2 {
					t.Errorf("sent %d times in three seconds", n)
				}
			})
		})
	}
}

// TestWhoIsRefusedAgainAndAgainTakesNoMoreTurnsThanOthers has strangers ask for what Shopify always refuses, while the bucket is full, so that
// nobody can tell whether it is the bucket's refusal.
func TestWhoIsRefusedAgainAndAgainTakesNoMoreTurnsThanOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const length = time.Minute
		p := New(Options{MaxWait: time.Minute})
		full := func() *http.Response { return response(200, "{}", callLimitHeader, "40/40") }
		do(t, p, REST, "", full())
		ctx, stop := context.WithTimeout(t.Context(), length)
		defer stop()
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				for ctx.Err() == nil {
					r := p.Reserve(REST, Caller{Key: i}, nil)
					for again := true; again; {
						if _, err := r.Wait(ctx); err != nil {
							break
						}
						again = observe(&r, response(429, "", "Retry-After", "30"))
					}
				}
			})
		}
		served := 0
		for {
			r := p.Reserve(REST, Caller{Key: "known", Known: true}, nil)
			if _, err := r.Wait(ctx); err != nil {
				break
			}
			observe(&r, full())
			served++
		}
		all.Wait()
		if served < 48 { // of 120 that fit, of which half are its own
			t.Errorf("%d calls in %s", served, length)
		}
	})
}

func TestRetryAfterIsObeyedWithinTheLongestWait(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value string
		want  time.Duration // zero: the refusal is passed on
	}{
		{"3", 3 * time.Second},
		{"2.5", 2500 * time.Millisecond},
		{"date", 4 * time.Second},
		{"0", time.Second},
		{"soon", time.Second},
		{"-5", time.Second},
		{"9", 0},
		{"86400", 0},
		{"1e300", 0},
	} {
		t.Run(c.value, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				for _, api := range []API{REST, GraphQL} {
					p := New(Options{MaxWait: 8 * time.Second})
					value := c.value
					if value == "date" {
						value = time.Now().Add(4 * time.Second).UTC().Format(http.TimeFormat)
					}
					r := p.Reserve(api, Caller{Key: "me"}, nil)
					if _, err := r.Wait(t.Context()); err != nil {
						t.Fatal(err)
					}
					if again := observe(&r, response(429, "<html>", "Retry-After", value)); again != (c.want > 0) {
						t.Fatalf("%s: sent again: %v", api, again)
					}
					if c.want == 0 {
						continue
					}
					began := time.Now()
					if _, err := r.Wait(t.Context()); err != nil {
						t.Fatal(err)
					}
					if took := time.Since(began); took != c.want {
						t.Errorf("%s: came back after %s, want %s", api, took, c.want)
					}
				}
			})
		})
	}
}

func TestTheRateIsReadFromACompressedRefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{MaxWait: time.Minute})
		do(t, p, REST, "", response(200, "{}", callLimitHeader, "1/40"))
		body := compressions["gzip"](strings.Replace(bucketRefusal, "2 calls", "4 calls", 1))
		if got, again := do(t, p, REST, "", response(429, body, "Content-Encoding", "gzip")); !again || got != body {
			t.Errorf("again %v", again)
		}
		if rate := p.rest.bucket.limit.Load().rate; rate < 3.9 {
			t.Errorf("the rate is %v, and 4 was named", rate)
		}
	})
}

// However small the pieces, the plain text that is made of a body in all is a few times its
// size, and a body that swells without end is given up.
func TestABodyInManyPiecesIsNotUnpackedForEach(t *testing.T) {
	t.Parallel()
	var unsteady strings.Builder // hardly compressible, and no data that would end the peeking
	unsteady.WriteString(`{"errors":"`)
	for i := uint32(1); unsteady.Len() < 12<<10; i = i*1664525 + 1013904223 {
		unsteady.WriteByte('a' + byte(i>>27))
	}
	for name, plain := range map[string]string{"steady": unsteady.String(), "bomb": strings.Repeat(" ", 10<<20)} {
		for _, coding := range []string{"gzip", "deflate", "br", "zstd", "gzip, zstd"} {
			body := compressions[coding](plain)
			c := newCostReader(io.NopCloser(iotest.OneByteReader(strings.NewReader(body))), Reservation{pacer: New(Options{})}, coding)
			c.peek()
			if made, most := c.work.compressed.made, min(4*len(plain), largestPlain+len(c.work.compressed.plain)); made == 0 || made > most {
				t.Errorf("%s, %s: %d bytes of plain text were made of a body that has %d", name, coding, made, len(plain))
			}
			if got, err := io.ReadAll(&c.passed); err != nil || string(got) != body {
				t.Errorf("%s, %s: %d bytes came, %v", name, coding, len(got), err)
			}
		}
	}
}
