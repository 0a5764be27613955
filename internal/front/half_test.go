package front

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/certtest"
	"evergate/internal/pipetest"
	"evergate/internal/socket"
)

// told is a client to which interim answers are written.
type told struct {
	net.Conn // nil: nothing else is called
	read     error
	at       []time.Duration // when, since the beginning
	since    time.Time
	most     int // how many of them it takes
}

var errAway = errors.New("away")

// Read implements net.Conn.
func (c *told) Read([]byte) (int, error) { return 0, c.read }

// Write implements net.Conn.
func (c *told) Write(p []byte) (int, error) {
	if c.at = append(c.at, time.Since(c.since)); string(p) != string(interim) {
		return 0, errors.New(string(p))
	}
	if len(c.at) > c.most {
		return 0, errAway
	}
	return len(p), nil
}

func TestAClientWhoseSendingHasEndedIsAskedWhetherItIsThere(t *testing.T) {
	t.Parallel()
	const endless = 1000
	answers := func(h *half) { _, _ = h.write(io.Discard, []byte("HTTP/1.1 200 OK\r\n")) }
	for name, c := range map[string]struct {
		prepare func(*half)
		read    error         // nil: the end
		over    time.Duration // when the request is
		takes   int
		asked   []time.Duration
		err     error
		lasts   time.Duration
	}{
		"it is gone":                             {over: time.Hour, takes: 1, asked: []time.Duration{0, 260 * time.Millisecond}, err: errAway, lasts: 260 * time.Millisecond},
		"its kernel says so":                     {read: syscall.ECONNRESET, over: time.Hour, takes: 1, asked: []time.Duration{0}, err: syscall.ECONNRESET, lasts: answersAsk},
		"it was gone":                            {over: time.Hour, asked: []time.Duration{0}, err: errAway},
		"it waits":                               {over: 4 * time.Second, takes: endless, asked: []time.Duration{0, 260 * time.Millisecond, 760 * time.Millisecond, 1760 * time.Millisecond, 3760 * time.Millisecond}, lasts: 4 * time.Second},
		"answered at once":                       {over: time.Millisecond, takes: 1, asked: []time.Duration{0}, lasts: time.Millisecond},
		"it was closed here":                     {read: net.ErrClosed, over: time.Hour, takes: 1, asked: []time.Duration{0}, err: net.ErrClosed, lasts: answersAsk},
		"the answer has begun, and stands still": {prepare: answers, over: time.Hour, err: io.EOF, lasts: 10*time.Second + firstAsk + answersAsk},
		"the answer has begun, and ends":         {prepare: answers, over: 9 * time.Second, lasts: 9 * time.Second},
		"the answer goes on": {prepare: func(h *half) {
			answers(h)
			for i := range 9 {
				time.AfterFunc(time.Duration(i+1)*9*time.Second, func() { answers(h) })
			}
		}, over: 89 * time.Second, lasts: 89 * time.Second},
		"it takes its time to read": {prepare: func(h *half) { h.mark([]byte("HTTP/1.1 200 OK\r\n"), true) }, over: time.Hour, lasts: time.Hour},
		"it was told to go on": {
			prepare: func(h *half) { _, _ = h.write(io.Discard, []byte("HTTP/1.1 100 Continue\r\n\r\n")) },
			over:    1100 * time.Millisecond, takes: endless, asked: []time.Duration{0, 510 * time.Millisecond, 1010 * time.Millisecond}, lasts: 1100 * time.Millisecond,
		},
		"it is told to go on late": {
			prepare: func(h *half) {
				time.AfterFunc(time.Second, func() { _, _ = h.write(io.Discard, []byte("HTTP/1.1 100 Continue\r\n\r\n")) })
			},
			over: 2 * time.Second, takes: endless, asked: []time.Duration{0, 260 * time.Millisecond, 760 * time.Millisecond, 1260 * time.Millisecond, 1760 * time.Millisecond}, lasts: 2 * time.Second,
		},
		"it cannot be asked":               {prepare: (*half).silence, over: time.Hour, err: io.EOF, lasts: 5*time.Second + answersAsk},
		"nor can it, and it is answered":   {prepare: (*half).silence, over: 2 * time.Second, lasts: 2 * time.Second},
		"nor can it, and the answer began": {prepare: func(h *half) { h.silence(); answers(h) }, over: time.Hour, err: io.EOF, lasts: 10*time.Second + firstAsk + answersAsk},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h, client, over := &half{}, &told{since: time.Now(), most: c.takes, read: io.EOF}, make(chan struct{})
				if c.read != nil {
					client.read = c.read
				}
				if c.prepare != nil {
					c.prepare(h)
				}
				time.AfterFunc(c.over, func() { close(over) })
				if err := h.wait(client, over); !errors.Is(err, c.err) || time.Since(client.since) != c.lasts {
					t.Errorf("%v after %v", err, time.Since(client.since))
				}
				if len(client.at) != len(c.asked) {
					t.Fatalf("asked at %v", client.at)
				}
				for i, at := range c.asked {
					if client.at[i] != at {
						t.Errorf("asked at %v", client.at)
					}
				}
			})
		})
	}
}

// wrapped is a connection in another one.
type wrapped struct{ net.Conn }

// NetConn returns the connection itself.
func (w wrapped) NetConn() net.Conn { return w.Conn }

// TestAKernelThatRefusesAnswersIsHeard is of real connections: of those that have ended Linux says so to writers alone.
func TestAKernelThatRefusesAnswersIsHeard(t *testing.T) {
	t.Parallel()
	certificate := certtest.SelfSigned(t, x509.Certificate{DNSNames: []string{"x"}, IsCA: true, BasicConstraintsValid: true})
	for name, wrap := range map[string]func(client, served net.Conn) (net.Conn, net.Conn){
		"bare":        func(client, served net.Conn) (net.Conn, net.Conn) { return client, served },
		"as on Linux": func(client, served net.Conn) (net.Conn, net.Conn) { return client, socket.Wrap(served) },
		"wrapped":     func(client, served net.Conn) (net.Conn, net.Conn) { return client, wrapped{wrapped{served}} },
		"TLS": func(client, served net.Conn) (net.Conn, net.Conn) {
			return tls.Client(client, &tls.Config{ServerName: "x", RootCAs: certtest.Pool(certificate), MinVersion: tls.VersionTLS12}),
				tls.Server(wrapped{served}, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
		},
	} {
		for _, gone := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s gone %t", name, gone), func(t *testing.T) {
				t.Parallel()
				client, served := wrap(pipetest.Sockets(t, "tcp", "127.0.0.1:0"))
				sent := make(chan error, 1)
				go func() {
					_, err := client.Write([]byte("x"))
					sent <- err
				}()
				if _, err := io.ReadFull(served, make([]byte, 1)); err != nil || <-sent != nil {
					t.Fatal(err)
				}
				if gone {
					_ = client.Close()
				} else {
					_ = closeWrite(client)
				}
				if n, err := served.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
					t.Fatal(n, err)
				}
				if err := lost(served); err != nil {
					t.Errorf("nobody has asked, and it is lost: %v", err)
				}
				if _, err := served.Write(interim); err != nil {
					t.Fatal(err)
				}
				if !gone {
					if err := lost(served); err != nil {
						t.Errorf("it waits for its answer, and is lost: %v", err)
					}
					return
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				for lost(served) == nil { // as a rule it is at once
					if runtime.Gosched(); ctx.Err() != nil {
						t.Fatal("it has been asked, and is not lost")
					}
				}
			})
		}
	}
}

// TestAClientWhoseSendingHasEndedIsAnswered has it wait until it has been asked, where it can be.
func TestAClientWhoseSendingHasEndedIsAnswered(t *testing.T) {
	t.Parallel()
	const old = "GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
	for name, said := range map[string]string{
		"here": ordinary, "with a body": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "two": ordinary + ordinary,
		"of net/http": empty, "in chunks": chunks, "one of each": empty + ordinary, "and the other way round": ordinary + chunks, "HTTP/1.0": old,
	} {
		for over, begin := range map[string]func(*testing.T, http.Handler) *client{
			"TCP": func(t *testing.T, h http.Handler) *client { t.Helper(); return dial(t, serveBoth(t, h).front) },
			"TLS": func(t *testing.T, h http.Handler) *client { t.Helper(); return serveTLS(t, h).dial(t) },
		} {
			t.Run(name+" over "+over, func(t *testing.T) {
				t.Parallel()
				goOn, served := make(chan struct{}), make(chan error, 2)
				c := begin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					<-goOn
					_, _ = io.WriteString(w, strings.Repeat("answer", outSize))
					served <- r.Context().Err()
				}))
				if _, err := io.WriteString(c, said); err != nil {
					t.Fatal(err)
				}
				if err := closeWrite(c.Conn); err != nil {
					t.Fatal(err)
				}
				requests := strings.Count(said, " HTTP/1.")
				if said == old || requests > 1 { // net/http's lane does not look at a client that has said more
					time.AfterFunc(3*unwatched, func() { close(goOn) })
				} else {
					if status, _ := c.hear(); status != http.StatusContinue {
						t.Fatal(status)
					}
					close(goOn)
				}
				for range requests {
					status, body := c.hear()
					for status == http.StatusContinue && said != old { // on a busy machine it is asked more often
						status, body = c.hear()
					}
					if status != http.StatusOK || len(body) != 6*outSize {
						t.Errorf("%d, %d bytes", status, len(body))
					}
					if err := <-served; err != nil {
						t.Error(err)
					}
				}
				if rest, err := io.ReadAll(c.r); len(rest) > 0 || err != nil {
					t.Errorf("behind it %.100q, %v", rest, err)
				}
			})
		}
	}
}

// TestAClientThatLeavesInTheMiddleOfItsAnswerIsNoticed has it read all that there is, so that its kernel refuses nothing.
func TestAClientThatLeavesInTheMiddleOfItsAnswerIsNoticed(t *testing.T) {
	t.Parallel()
	for _, request := range []string{ordinary, empty, chunks} {
		synctest.Test(t, func(t *testing.T) {
			gone := make(chan time.Time, 1)
			h := newHouse(t, time.Hour, nil)
			h.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(w, "first")
				w.(http.Flusher).Flush()
				<-r.Context().Done()
				gone <- time.Now()
			})
			c := h.dial(t)
			_, _ = io.WriteString(c, request)
			if resp, err := http.ReadResponse(c.r, nil); err != nil || resp.StatusCode != http.StatusOK {
				t.Fatal(resp, err)
			}
			began := time.Now()
			_ = c.Close()
			if took := (<-gone).Sub(began); took > unwritten+2*time.Second {
				t.Errorf("noticed after %s", took)
			}
		})
	}
}

// TestAClientThatIsGoneAfterAllIsNoticed has it end its sending first, and read on for a while.
func TestAClientThatIsGoneAfterAllIsNoticed(t *testing.T) {
	t.Parallel()
	for _, request := range []string{ordinary, empty, chunks} {
		ended := make(chan struct{})
		both := serveBoth(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			close(ended)
		}))
		c := dial(t, both.front)
		_, _ = io.WriteString(c, request)
		_ = closeWrite(c.Conn)
		if status, _ := c.hear(); status != http.StatusContinue {
			t.Fatal(status)
		}
		select {
		case <-ended:
			t.Errorf("%.20q: given up while its client waited", request)
		default:
		}
		_ = c.Close()
		<-ended
	}
}
