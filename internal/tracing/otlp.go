package tracing

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"evergate/internal/netfail"
)

const (
	firstBackoff = 5 * time.Second
	maxBackoff   = 30 * time.Second
	giveUpAfter  = time.Minute // spans wait in memory meanwhile
	maxResponse  = 64 << 10
)

// exporter sends spans by OTLP over HTTP. docs/adr/0022-spans-of-our-own.md says why it is not the official one.
type exporter struct {
	settings  settings
	resource  []byte // encoded
	userAgent string
	client    *http.Client
	stopped   atomic.Bool
}

func newExporter(s settings, resource []byte, version string) *exporter {
	return &exporter{settings: s, resource: resource, userAgent: "evergate/" + version, client: &http.Client{
		Timeout: s.timeout,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: s.tls, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 90 * time.Second, MaxIdleConns: 2,
		},
		CheckRedirect: func(next *http.Request, _ []*http.Request) error {
			if next.URL.Scheme != s.endpoint.Scheme || next.URL.Host != s.endpoint.Host {
				return errors.New("it redirects to another host, which must not see the headers")
			}
			return nil
		},
	}}
}

// export sends spans. It tries again while the collector says that this may help, for a minute at most.
func (e *exporter) export(ctx context.Context, spans []*span) error {
	if len(spans) == 0 || e.stopped.Load() {
		return nil
	}
	body, err := e.encode(spans)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, giveUpAfter)
	defer cancel()
	for backoff := firstBackoff; ; backoff = min(2*backoff, maxBackoff) {
		err := e.post(ctx, body)
		busy, ok := errors.AsType[*unavailableError](err)
		if !ok {
			return err
		}
		pause := max(busy.retryAfter, backoff/2+rand.N(backoff)) //nolint:gosec // jitter is no secret
		if until, _ := ctx.Deadline(); time.Until(until) < pause {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}

// stop has nothing sent any more.
func (e *exporter) stop() {
	e.stopped.Store(true)
	e.client.CloseIdleConnections()
}

func (e *exporter) encode(spans []*span) ([]byte, error) {
	body := message(e.resource, spans)
	if !e.settings.gzip {
		return body, nil
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(body)
	if err == nil {
		err = w.Close()
	}
	return b.Bytes(), err
}

// unavailableError is a failure that may be over soon.
type unavailableError struct {
	err        error
	retryAfter time.Duration
}

func (e *unavailableError) Error() string { return e.err.Error() }
func (e *unavailableError) Unwrap() error { return e.err }

// post sends a message once. No error holds a header, or more of the URL than its host: either
// may hold a key. Nor does it hold the body of a failure, which may repeat what was sent.
func (e *exporter) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.settings.endpoint.String(), bytes.NewReader(body))
	if err != nil {
		return errors.New("the endpoint is not a URL that can be used")
	}
	req.Header = e.settings.header.Clone()
	req.Header.Set("User-Agent", e.userAgent)
	req.Header.Set("Content-Type", "application/x-protobuf")
	if e.settings.gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return e.unsent(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &unavailableError{fmt.Errorf("%s answered %d", e.settings.endpoint.Host, resp.StatusCode), retryAfter(resp.Header.Get("Retry-After"))}
	}
	switch {
	case resp.StatusCode/100 != 2:
		return fmt.Errorf("%s answered %d", e.settings.endpoint.Host, resp.StatusCode)
	case err != nil:
		return fmt.Errorf("%s: the answer ended early: %s", e.settings.endpoint.Host, netfail.Say(err))
	case resp.Header.Get("Content-Type") != "application/x-protobuf":
		return nil // accepted; what else it says cannot be read
	}
	return e.partial(answer)
}

// unsent is the error of a request that got no answer, without its URL.
func (e *exporter) unsent(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err
	}
	said := fmt.Errorf("%s: %s", e.settings.endpoint.Host, netfail.Say(err))
	if slow, ok := errors.AsType[net.Error](err); ok && slow.Timeout() {
		return &unavailableError{err: said}
	}
	return said
}

func (e *exporter) partial(answer []byte) error {
	rejected, warned := partialSuccess(answer)
	switch {
	case rejected > 0:
		return fmt.Errorf("%s accepted the message but for %d spans; its own log says why", e.settings.endpoint.Host, rejected)
	case warned:
		return fmt.Errorf("%s accepted the message with a warning, which its own log has", e.settings.endpoint.Host)
	}
	return nil
}

// retryAfter reads seconds or a date (RFC 9110, 10.2.3); zero if there is neither.
func retryAfter(v string) time.Duration {
	if s, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}

// partialSuccess reads an ExportTraceServiceResponse: partial_success (1) with rejected_spans
// (1) and error_message (2), of which nothing is quoted: it is a stranger's, and may hold what was
// sent. Its generated type shares a package with gRPC stubs. What is not
// such a message says nothing: the spans have been accepted.
func partialSuccess(answer []byte) (rejected uint64, warned bool) {
	eachField(answer, func(n protowire.Number, _ uint64, inner []byte) {
		if n == 1 {
			eachField(inner, func(n protowire.Number, v uint64, b []byte) {
				switch n {
				case 1:
					rejected = v
				case 2:
					warned = len(b) > 0
				}
			})
		}
	})
	return rejected, warned
}

// eachField calls found for each field of a message up to the first that cannot be read: with
// its value if that is a varint, with its bytes if it has a length.
func eachField(b []byte, found func(n protowire.Number, v uint64, bytes []byte)) {
	for len(b) > 0 {
		num, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return
		}
		b = b[size:]
		size = protowire.ConsumeFieldValue(num, kind, b)
		if size < 0 {
			return
		}
		switch kind {
		case protowire.VarintType:
			v, _ := protowire.ConsumeVarint(b)
			found(num, v, nil)
		case protowire.BytesType:
			v, _ := protowire.ConsumeBytes(b)
			found(num, 0, v)
		}
		b = b[size:]
	}
}
