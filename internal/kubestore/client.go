package kubestore

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"evergate/internal/clock"
	"evergate/internal/netfail"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

const (
	// answerWait bounds one request. The API server itself gives up after 60 seconds, which is longer than a token may wait.
	answerWait = 15 * time.Second
	// maxAnswer is far above a page of records.
	maxAnswer = 64 << 20
	// maxTries is how often a call is made that the API server puts off.
	maxTries = 6
	// maxPutOff bounds what a Retry-After is believed.
	maxPutOff = time.Minute
)

// client speaks to the API server as a ServiceAccount.
type client struct {
	server  string
	account account
	// newTransport is replaced in tests.
	newTransport func() (http.RoundTripper, error)

	mu        sync.Mutex
	transport http.RoundTripper // nil: none has been needed yet
	quietTo   time.Time         // the API server wants no calls before
}

func newClient(server string, a account) *client {
	c := &client{server: server, account: a}
	c.newTransport = c.overTLS
	return c
}

// call is one request. What is asked for is told in errors, so it holds no secret but in body.
type call struct {
	method, path string
	query        url.Values
	body         any
	contentType  string // application/json if empty
	metadataOnly bool   // leave the data where it is
}

// refusal is an answer that is no success. Of its body nothing is told, because it may quote what was sent.
type refusal struct {
	status int
	method string
	putOff time.Duration
	resume string // of a list that has grown too old: where it goes on
}

// Error implements error.
func (r *refusal) Error() string {
	switch r.status {
	case http.StatusUnauthorized:
		return "the API server does not accept the ServiceAccount's token (401): see that the account still exists and that the token is of this cluster"
	case http.StatusForbidden:
		return fmt.Sprintf("the ServiceAccount may not do that (403 to a %s): bind it to a Role with %s", r.method, needed())
	case http.StatusNotFound:
		return "the API server knows no such thing (404): see that the namespace exists"
	case http.StatusTooManyRequests:
		return "the API server wants fewer calls (429)"
	case http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return fmt.Sprintf("the API server does not accept the object (%d): a Secret holds at most 1 MiB", r.status)
	}
	return fmt.Sprintf("the API server answers %d", r.status)
}

func statusOf(err error) int {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.status
	}
	return 0
}

// lostAnswer is why there is no answer, or only a piece of one, to a call that may have reached the API server.
type lostAnswer struct{ error }

// Unwrap returns the cause.
func (e *lostAnswer) Unwrap() error { return e.error }

// isDoubtful reports an error after which the call may have been carried out all the same, now or later.
func isDoubtful(err error) bool {
	_, lost := errors.AsType[*lostAnswer](err)
	return lost || statusOf(err) >= 500
}

// resume is where a list goes on whose place has been forgotten by the server.
func resume(err error) string {
	if r, ok := errors.AsType[*refusal](err); ok && r.status == http.StatusGone {
		return r.resume
	}
	return ""
}

// do makes a call and decodes the answer into the given value, unless that is nil. A call that is put off is made again. Whatever
// fails is worth another attempt soon: an API server that has just started refuses everybody for a moment, and a Role that is
// missing may be there in the next.
func (c *client) do(ctx context.Context, q call, into any) error {
	for try := 1; ; try++ {
		if err := c.quiet(ctx); err != nil {
			return err
		}
		err := c.once(ctx, q, into)
		if err == nil {
			return nil
		}
		r, ok := errors.AsType[*refusal](err)
		if !ok || r.status != http.StatusTooManyRequests || try == maxTries {
			return token.Decide(token.ErrTransient, err)
		}
		c.putOff(max(r.putOff, time.Second))
	}
}

// quiet waits while the API server wants no calls: all callers together, and not all of them to the same moment.
func (c *client) quiet(ctx context.Context) error {
	c.mu.Lock()
	wait := time.Until(c.quietTo)
	c.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	return clock.Sleep(ctx, wait+rand.N(wait/4+1)) //nolint:gosec // G404: it spreads load, it guards nothing
}

func (c *client) putOff(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if to := time.Now().Add(d); to.After(c.quietTo) {
		c.quietTo = to
	}
}

func (c *client) once(ctx context.Context, q call, into any) error {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	body, err := c.send(ctx, q)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // it was only read
	if into != nil {
		if err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(into); err != nil {
			return &lostAnswer{netfail.Plain(err)} // encoding/json quotes its input
		}
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(body, 4<<10)) // so that the connection can be used again
	return nil
}

// send returns the body of a successful answer.
func (c *client) send(ctx context.Context, q call) (io.ReadCloser, error) {
	req, err := c.request(ctx, q)
	if err != nil {
		return nil, err
	}
	transport, err := c.connected()
	if err != nil {
		return nil, err
	}
	resp, err := transport.RoundTrip(req) // follows no redirect
	if err != nil {
		if netfail.IsTLS(err) {
			c.forget(transport) // the authority may have been replaced
		}
		failed := fmt.Errorf("the API server: %w", netfail.Plain(err))
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
			return nil, failed
		}
		return nil, &lostAnswer{failed}
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return resp.Body, nil
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	var status struct {
		Metadata listMeta `json:"metadata"`
	}
	_ = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&status) // it is only a help
	return nil, &refusal{status: resp.StatusCode, method: q.method, putOff: retryAfter(resp.Header), resume: status.Metadata.Continue}
}

func (c *client) request(ctx context.Context, q call) (*http.Request, error) {
	var body io.Reader
	if q.body != nil {
		b, err := json.Marshal(q.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	target := c.server + q.path
	if len(q.query) > 0 {
		target += "?" + q.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, q.method, target, body)
	if err != nil {
		return nil, remedy.New("see KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT", "the API server's address cannot be used")
	}
	bearer, err := c.account.token()
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+bearer.Reveal())
	req.Header.Set("User-Agent", "evergate")
	req.Header.Set("Accept", "application/json")
	if q.metadataOnly {
		kind := "PartialObjectMetadata"
		if q.query != nil && !q.query.Has("watch") {
			kind += "List"
		}
		req.Header.Set("Accept", "application/json;as="+kind+";g=meta.k8s.io;v=v1")
	}
	if q.body != nil {
		req.Header.Set("Content-Type", "application/json")
		if q.contentType != "" {
			req.Header.Set("Content-Type", q.contentType)
		}
	}
	return req, nil
}

// retryAfter reads the seconds that the API server asks for.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.ParseUint(h.Get("Retry-After"), 10, 16)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxPutOff)
}

func (c *client) connected() (http.RoundTripper, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transport == nil {
		t, err := c.newTransport()
		if err != nil {
			return nil, err
		}
		c.transport = t
	}
	return c.transport, nil
}

// forget has the next call read the authority and connect anew.
func (c *client) forget(t http.RoundTripper) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transport == t {
		c.transport = nil
	}
	if t, ok := t.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

func (c *client) close() {
	c.mu.Lock()
	t := c.transport
	c.mu.Unlock()
	if t != nil {
		c.forget(t)
	}
}

// overTLS makes connections of its own: HTTP/1.1, because a stalled one then holds up nobody else and costs 8 KiB; directly,
// because the API server is inside the cluster, wherever Shopify is reached through.
func (c *client) overTLS() (http.RoundTripper, error) {
	pem, err := c.account.authorities()
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, remedy.New(mountIt, "ca.crt of the ServiceAccount in %s holds no certificate", c.account)
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	return &http.Transport{
		DialContext:         dialer.DialContext,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 5 * time.Second,
		Protocols:           &protocols,
		DisableCompression:  true, // what is encrypted does not get smaller
		MaxConnsPerHost:     32,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     time.Minute,
	}, nil
}
