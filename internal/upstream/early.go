package upstream

import (
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// An upstream may answer in the middle of a body: with a refusal, as a rule. Then it may read on, or read no
// more, or end the connection. Its answer counts in each case, and the connection is not used again.

// answerPatience is how long an answer may stand still that the peer sent before it stopped reading.
const answerPatience = 2 * time.Second

// awaitAnswer returns when nothing more comes from the peer. A peer may answer in the middle of a
// body and end the connection: then the answer is here, or on its way, while the write of the rest fails,
// and net/http would drop the connection with the answer on it for a write that failed.
func (c *conn) awaitAnswer() {
	again := time.NewTicker(answerPatience)
	defer again.Stop()
	for came := c.came.Load(); ; {
		select {
		case <-c.ended:
			return
		case <-again.C:
		}
		now := c.came.Load()
		if now == came {
			return
		}
		came = now
	}
}

// retire ends the connection, and returns when net/http has noticed and does not use it any more.
func (c *conn) retire() {
	_ = c.way().Close()
	noticed := time.NewTimer(answerPatience)
	defer noticed.Stop()
	select {
	case <-c.ended:
	case <-noticed.C:
	}
}

// upload sends a request whose body cannot be sent twice. Who refuses such a one, or answers before the body is at
// its end, may take all that comes for the rest of it, so the connection ends with the answer.
func (t *Transport) upload(r *http.Request) (*http.Response, error) {
	var used *conn
	body := &sending{ReadCloser: r.Body}
	out := r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) { used, _ = got.Conn.(*conn) },
	}))
	out.Body = body
	resp, err := t.base.RoundTrip(out)
	if err != nil {
		return resp, told(err)
	}
	if refused := resp.StatusCode >= 400; (refused || !body.ended.Load()) && used != nil {
		if resp.Body == http.NoBody {
			used.retire()
		} else {
			resp.Body = &lastAnswer{resp.Body, used}
		}
	}
	return resp, nil
}

// sending is a request's body that knows whether it is at its end.
type sending struct {
	io.ReadCloser
	ended atomic.Bool
}

// Read implements io.Reader.
func (s *sending) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil {
		s.ended.Store(true)
	}
	return n, err
}

// lastAnswer is the body of the last answer on a connection.
type lastAnswer struct {
	io.ReadCloser
	conn *conn
}

// Read implements io.Reader.
func (l *lastAnswer) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if err != nil {
		l.conn.retire()
	}
	return n, err
}

// Close implements io.Closer.
func (l *lastAnswer) Close() error {
	err := l.ReadCloser.Close()
	l.conn.retire()
	return err
}
