package shopsim

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"strings"
	"time"
)

// response is a complete answer, before any fault touches its delivery.
// Status 0 means that the connection breaks instead.
type response struct {
	status int
	header http.Header
	body   []byte
	delay  time.Duration // before it is sent
}

func newResponse(status int, contentType string, body []byte) *response {
	return &response{status: status, header: http.Header{"Content-Type": {contentType}}, body: body}
}

// jsonResponse encodes v as Shopify does: no escaping of <, > and &, no final newline.
func jsonResponse(status int, v any) *response {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("shopsim: encode answer: %v", err)) // every v is made of our own types
	}
	return newResponse(status, "application/json; charset=utf-8", bytes.TrimSuffix(buf.Bytes(), []byte("\n")))
}

// jsonErrors is the shape of all REST failures; errs is a string or an object.
func jsonErrors(status int, errs any) *response {
	return jsonResponse(status, map[string]any{"errors": errs})
}

// oauthJSON is a failure of the token endpoint as RFC 6749 words it.
func oauthJSON(status int, code, description string) *response {
	return jsonResponse(status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{code, description})
}

// oauthHTML is a failure of the token endpoint as Shopify usually words it: a
// page for people, with the code in the title.
func oauthHTML(code, text string) *response {
	return htmlPage(http.StatusBadRequest, "400 - Oauth error "+code, "400", "Oauth error "+code+": "+text)
}

func htmlPage(status int, title, h1, h2 string) *response {
	body := fmt.Sprintf(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>%s</title></head>
<body><main><h1>%s</h1><h2>%s</h2></main></body></html>
`, html.EscapeString(title), html.EscapeString(h1), html.EscapeString(h2))
	return newResponse(status, "text/html; charset=utf-8", []byte(body))
}

// methodNotAllowed answers for a path that exists, but not for this method.
func methodNotAllowed(allow string) *response {
	resp := jsonErrors(http.StatusMethodNotAllowed, "Method Not Allowed")
	resp.header.Set("Allow", allow)
	return resp
}

func notFound() *response { return jsonErrors(http.StatusNotFound, "Not Found") }

// companions are names and values of header fields that come with nearly every answer.
var companions = [...]string{
	"X-Shopify-Stage", "production",
	"X-Dc", "gcp-simulated",
	"Server-Timing", "processing;dur=12, cfRequestDuration;dur=31.000023",
	"Strict-Transport-Security", "max-age=7889238",
	"X-Frame-Options", "DENY",
	"X-Content-Type-Options", "nosniff",
	"X-Download-Options", "noopen",
	"X-Permitted-Cross-Domain-Policies", "none",
	"X-Xss-Protection", "1; mode=block",
	"Referrer-Policy", "origin-when-cross-origin",
	"Vary", "Accept-Encoding, Accept",
	"Server", "cloudflare",
	"Cf-Cache-Status", "DYNAMIC",
	"Alt-Svc", `h3=":443"; ma=86400`,
}

// decorate adds the header fields that come with nearly every answer.
func (s *Sim) decorate(q *request, resp *response) {
	h := resp.header
	for i := 0; i < len(companions); i += 2 {
		h.Set(companions[i], companions[i+1])
	}
	h.Set("X-Request-Id", q.id)
	h.Set("X-Shopid", fmt.Sprint(q.shop.id))
	h.Set("Cf-Ray", strings.ReplaceAll(q.id, "-", "")[:16]+"-SIM")
	if q.route.version == "" && h.Get("X-Shopify-Api-Version") == "" {
		h.Set("X-Shopify-Api-Version", s.opts.Versions[0])
	}
	if s.state.settings.SetCookie {
		h.Add("Set-Cookie", "_shopify_essential=simulated; path=/; secure; HttpOnly; SameSite=Lax")
		h.Add("Set-Cookie", "__cf_bm=simulated; path=/; secure; HttpOnly")
	}
	accepted := q.Header.Get("Accept-Encoding")
	switch {
	case s.state.settings.Zstd && strings.Contains(accepted, "zstd"):
		resp.frameAsZstd()
	case s.state.settings.Gzip && strings.Contains(accepted, "gzip"):
		resp.compress()
	}
}

// frameAsZstd writes the body in zstd's format (RFC 8878) without making it smaller: to a client
// that is the same, and a compressor would be the largest part of this package.
func (r *response) frameAsZstd() {
	const largestBlock = 128 << 10
	const window2MiB = (21 - 10) << 3
	framed := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, window2MiB}
	for rest, last := r.body, false; !last; {
		size := min(len(rest), largestBlock)
		last = size == len(rest)
		header := size << 3
		if last {
			header |= 1
		}
		framed = append(framed, byte(header), byte(header>>8), byte(header>>16))
		framed = append(framed, rest[:size]...)
		rest = rest[size:]
	}
	r.body = framed
	r.header.Set("Content-Encoding", "zstd")
}

func (r *response) compress() {
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	_, _ = zw.Write(r.body) // a bytes.Buffer does not fail
	_ = zw.Close()
	r.body = buf.Bytes()
	r.header.Set("Content-Encoding", "gzip")
}

// requestID has the form seen in the wild: a UUID and a time stamp.
func (st *state) requestID() string {
	a, b := st.rng.Uint64(), st.rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x-%d",
		a>>32, a>>16&0xffff, a&0xfff, b>>52, b&0xffffffffffff, time.Now().Unix())
}
