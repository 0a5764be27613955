package inject

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"evergate/internal/shopify"
	"evergate/internal/token"
	"evergate/internal/upstream"
)

// outgoing is the request for Shopify of one attempt, with everything that is made for it, in
// one piece. Nothing of it is shared with another attempt, because a transport may go on using
// a request after its answer. It is used again for another client's once its transport says that it does not: see release.
type outgoing struct {
	http.Request
	ctx    upstream.Context
	url    url.URL
	header http.Header
	token  [1]string
	made   *madeHeader // whose header the request has; nil: its own

	whole  []byte // the body, where it is in memory
	body   bytes.Reader
	reader io.ReadCloser                 // of body
	anew   func() (io.ReadCloser, error) // another one
}

var outgoings = sync.Pool{New: func() any { return new(outgoing) }}

// outgoing makes the request for Shopify, without body and token.
func (h *Handler) outgoing(rec *record) *outgoing {
	in, out := rec.in, outgoings.Get().(*outgoing)
	out.ctx = upstream.Context{Context: in.Context()}
	if rec.passer != nil {
		out.ctx.Sort = &answers
	}
	out.url = url.URL{
		Scheme: rec.shop.Base.Scheme,
		Host:   rec.shop.Base.Host,
		// Opaque is written as it is; Path would be escaped anew.
		Opaque:     rec.passage.Target.Path,
		RawQuery:   in.URL.RawQuery,
		ForceQuery: in.URL.ForceQuery,
	}
	out.Request = *new(http.Request).WithContext(&out.ctx)
	out.Method, out.URL, out.Host, out.Header = in.Method, &out.url, rec.passage.Shop.Domain(), out.headerFor(rec)
	out.Proto, out.ProtoMajor, out.ProtoMinor = "HTTP/1.1", 1, 1
	return out
}

// headerFor makes the header, or takes the one that was made for the client's request before, which said the same.
func (o *outgoing) headerFor(rec *record) http.Header {
	if place := rec.place(); place != nil {
		rec.made = place
		made, ok := (*place).(*madeHeader)
		if !ok {
			made = newMadeHeader(rec.in.Header)
			*place = made
		}
		o.made, o.ctx.Prepared = made, &made.prepared
		return made.header
	}
	if o.header == nil {
		o.header = make(http.Header, len(rec.in.Header)+2)
	}
	fillOutgoing(o.header, rec.in.Header)
	return o.header
}

// place is where the header may be kept. Only one attempt at a time has what is there, so a second one has none, nor has one whose header a span
// writes into.
func (r *record) place() *any {
	if r.passer == nil || r.out != nil || r.span != nil {
		return nil
	}
	return r.passer.Made()
}

// madeHeader is what goes on to Shopify of a header that a client says again and again. It belongs to one request at a time.
type madeHeader struct {
	header   http.Header
	token    [1]string
	prepared upstream.Prepared
}

func newMadeHeader(in http.Header) *madeHeader {
	made := &madeHeader{header: make(http.Header, len(in)+2), prepared: upstream.Prepared{Apart: shopify.HeaderAccessToken}}
	fillOutgoing(made.header, in)
	delete(made.header, "Content-Length") // each request says its own
	made.header[shopify.HeaderAccessToken] = made.token[:]
	return made
}

// setBody gives the request a body that is in memory.
func (o *outgoing) setBody(whole []byte) {
	if o.reader == nil {
		o.reader = io.NopCloser(&o.body) // which net/http knows to be in memory, so it sends header and body together
		o.anew = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(o.whole)), nil }
	}
	o.whole = whole
	o.body.Reset(whole)
	o.ContentLength, o.Body = int64(len(whole)), o.reader
	// With GetBody the transport sends the request anew when a pooled connection
	// turns out to be dead before a byte of it was written; never otherwise, for a POST.
	o.GetBody = o.anew
}

// release is called when the client's request is over, and nobody uses the answer any more. It reports whether the request's body is nobody's either.
func (o *outgoing) release() bool {
	if !o.ctx.Release() {
		return false
	}
	if o.made != nil {
		o.made.token[0] = ""
	}
	clear(o.header)
	o.body.Reset(nil)
	*o = outgoing{header: o.header, body: o.body, reader: o.reader, anew: o.anew}
	outgoings.Put(o)
	return true
}

// setToken comes last: nothing that a client sends can take it away.
func (o *outgoing) setToken(t token.Token) {
	if o.made != nil {
		o.made.token[0] = t.Access.Reveal()
		return
	}
	o.token[0] = t.Access.Reveal()
	o.Header[shopify.HeaderAccessToken] = o.token[:]
}

// neverUpstream are the request headers that end here: credentials of the client's, which
// must not reach Shopify beside ours, what a browser or a proxy in front says of itself,
// and the hop-by-hop headers of RFC 9110 section 7.6.1.
var neverUpstream = set(
	shopify.HeaderAccessToken, "Authorization", "Cookie", "Forwarded", "Origin", "Referer",
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings",
)

// fieldNames is a set of names. Most that are asked for are not in it, and of a length that none in it has.
type fieldNames struct {
	names   map[string]struct{}
	lengths uint64 // a bit for each
}

func set(names ...string) fieldNames {
	s := fieldNames{names: make(map[string]struct{}, len(names))}
	for _, n := range names {
		s.names[n] = struct{}{}
		s.lengths |= 1 << len(n)
	}
	return s
}

func (s *fieldNames) has(name string) bool {
	if s.lengths>>len(name)&1 == 0 {
		return false
	}
	_, has := s.names[name]
	return has
}

// fillOutgoing puts what goes on to Shopify into out, without the token. The values are
// shared with in, which nobody changes.
func fillOutgoing(out, in http.Header) {
	for name, values := range in {
		if !droppedUpstream(name) {
			out[name] = values
		}
	}
	// After the copy and before the token is set, so that a Connection header can drop
	// what its sender owns and nothing else.
	dropNamed(out, in["Connection"])
	if v, sent := out["User-Agent"]; !sent || len(v) != 1 || v[0] == "" {
		out["User-Agent"] = nil // net/http would invent one, and sends one value at most
		if sent {
			out["user-agent"] = v
		}
	}
	// net/http takes Idempotency-Key as leave to send a POST again when the connection
	// breaks, which is not ours to give: a differently-cased name is the same field to
	// Shopify and none to net/http.
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if v, ok := out[name]; ok {
			delete(out, name)
			out[strings.ToLower(name)] = v
		}
	}
}

// droppedUpstream also knows X-Forwarded-… and spellings with an underscore, which many
// servers read as a hyphen: X_Shopify_Access_Token must not stand beside the real one, nor
// Content_Length beside the length.
func droppedUpstream(name string) bool {
	if neverUpstream.has(name) || strings.HasPrefix(name, "X-Forwarded-") {
		return true
	}
	if strings.IndexByte(name, '_') >= 0 {
		meant := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
		return meant == "Content-Length" || droppedUpstream(meant)
	}
	return false
}

// dropNamed deletes the headers that Connection names, but never a Connection of our own.
func dropNamed(h http.Header, connection []string) {
	for _, line := range connection {
		if strings.EqualFold(line, "keep-alive") { // which is dropped already, and is what nearly everybody says
			continue
		}
		for name := range strings.SplitSeq(line, ",") {
			if name = http.CanonicalHeaderKey(strings.TrimSpace(name)); name != "Connection" {
				delete(h, name)
			}
		}
	}
}
