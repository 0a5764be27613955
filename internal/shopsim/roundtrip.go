package shopsim

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
)

// RoundTripper serves requests in process, without a network. It is meant for
// testing/synctest, where time stands still while a goroutine waits for a
// socket. Faults work as over the wire: a broken connection is an error that
// wraps syscall.ECONNRESET, or io.ErrUnexpectedEOF once the header is through.
//
// Every goroutine that it starts ends when the response body is read to the
// end or closed, or when the request's context ends.
func (s *Sim) RoundTripper() http.RoundTripper { return inProcess{s.Handler()} }

type inProcess struct{ handler http.Handler }

func (t inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	in := serverSide(req.WithContext(ctx))
	closeBody := sync.OnceFunc(func() { _ = in.Body.Close() })
	pr, pw := io.Pipe()
	out := &pipeWriter{header: http.Header{}, body: pw, ready: make(chan struct{})}
	stop := context.AfterFunc(req.Context(), func() { _ = pw.CloseWithError(context.Cause(req.Context())) })
	go func() {
		defer cancel()
		defer stop()
		defer closeBody()
		out.finish(runHandler(t.handler, out, in))
	}()
	select {
	case <-out.ready:
	case <-req.Context().Done():
		closeBody() // or a handler that reads a stalled body would never end
		return nil, context.Cause(req.Context())
	}
	if out.status == 0 {
		cancel()
		return nil, out.err
	}
	return out.response(req, &inProcessBody{pr, cancel}), nil
}

// serverSide is the request as a server would see it.
func serverSide(req *http.Request) *http.Request {
	in := req.Clone(req.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	in.RequestURI = req.URL.RequestURI()
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/2.0", 2, 0
	in.RemoteAddr = "192.0.2.1:1234"
	if in.Method == "" {
		in.Method = http.MethodGet
	}
	return in
}

// runHandler turns the one panic that a handler may use to say "break the
// connection" into an error.
func runHandler(h http.Handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			err = &net.OpError{Op: "read", Net: "tcp", Err: fmt.Errorf("simulated: %w", syscall.ECONNRESET)}
		default:
			panic(v)
		}
	}()
	h.ServeHTTP(w, r)
	return nil
}

// pipeWriter is the ResponseWriter of one in-process request. Its fields below
// ready are written before ready is closed and only read after that.
type pipeWriter struct {
	header http.Header // the handler's
	body   *io.PipeWriter
	once   sync.Once

	ready  chan struct{} // closed with the header, or with the error that came instead
	status int
	sent   http.Header
	err    error
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.ready)
	})
}

func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// finish ends the response: well, or with the error of a broken connection.
func (w *pipeWriter) finish(err error) {
	if err == nil {
		w.WriteHeader(http.StatusOK)
		_ = w.body.Close()
		return
	}
	w.once.Do(func() {
		w.err = err
		close(w.ready)
	})
	_ = w.body.CloseWithError(io.ErrUnexpectedEOF)
}

func (w *pipeWriter) response(req *http.Request, body io.ReadCloser) *http.Response {
	length, err := strconv.ParseInt(w.sent.Get("Content-Length"), 10, 64)
	if err != nil {
		length = -1
	}
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)),
		StatusCode:    w.status,
		Proto:         "HTTP/2.0",
		ProtoMajor:    2,
		Header:        w.sent,
		Body:          body,
		ContentLength: length,
		Request:       req,
	}
}

// inProcessBody ends the handler when the client closes the body.
type inProcessBody struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (b *inProcessBody) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}
