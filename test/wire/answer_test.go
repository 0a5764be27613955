package wire

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// reply is an answer as it stands on the wire.
type reply struct {
	line    string
	status  int
	fields  []field
	body    string
	trailer []field
	interim []int // the 1xx before it
	framing string
}

// readReply reads the answer to a request with this method, by the letter.
func readReply(t *testing.T, in *bufio.Reader, method string) reply {
	t.Helper()
	strict := &reading{}
	var r reply
	for {
		var err error
		if r.line, err = strict.line(in); err != nil {
			t.Fatalf("no status line: %v", err)
		}
		version, rest, _ := strings.Cut(r.line, " ")
		code, _, found := strings.Cut(rest, " ")
		if r.status, err = strconv.Atoi(code); err != nil || !found || version != "HTTP/1.1" && version != "HTTP/1.0" || len(code) != 3 {
			t.Fatalf("status line %q", r.line)
		}
		if r.fields, err = strict.section(in, isToken); err != nil {
			t.Fatalf("%s: %v", r.line, err)
		}
		if r.status >= 200 {
			break
		}
		r.interim = append(r.interim, r.status)
	}
	if err := r.readBody(in, method); err != nil {
		t.Fatalf("%s: %v", r.line, err)
	}
	return r
}

func (r *reply) readBody(in *bufio.Reader, method string) error {
	m := message{fields: r.fields}
	length, coding := m.get("Content-Length"), m.get("Transfer-Encoding")
	if len(length)+len(coding) > 1 {
		return bad("framed by %q and %q", length, coding)
	}
	var err error
	switch {
	case method == "HEAD" || r.status == 204 || r.status == 304:
		r.framing = "none"
	case len(coding) == 1 && coding[0] == "chunked":
		r.framing = "chunked"
		err = (&reading{}).chunks(in, &m)
	case len(length) == 1:
		r.framing = "length"
		var n int64
		if n, err = strconv.ParseInt(length[0], 10, 64); err == nil {
			err = m.take(in, n)
		}
	default:
		r.framing = "close"
		var b bytes.Buffer
		_, err = b.ReadFrom(in)
		m.body = b.String()
	}
	r.body, r.trailer = m.body, m.trailer
	return err
}

// byName groups fields by their names in small letters. The values keep their order, which
// has a meaning, and the names lose theirs, which has none (RFC 9110 section 5.3).
func byName(fields []field) map[string][]string {
	all := map[string][]string{}
	for _, f := range fields {
		name := strings.ToLower(f.name)
		all[name] = append(all[name], f.value)
	}
	return all
}

// endHere are the fields of an answer that docs/reference/fidelity.md says are not passed on.
var endHere = []string{
	"set-cookie", "strict-transport-security", "alt-svc", "connection", "proxy-connection", "keep-alive", "proxy-authenticate",
	"te", "upgrade", "transfer-encoding",
}

// passedOn is what must be left of an answer's fields behind Evergate.
func passedOn(fields []field, framing string) map[string][]string {
	all := byName(fields)
	for name := range all {
		if slices.Contains(endHere, name) || strings.HasPrefix(name, "access-control-") || framing != "none" && name == "content-length" {
			delete(all, name)
		}
	}
	return all
}

// request sends bytes on a connection and reads the answer.
func request(t *testing.T, conn io.ReadWriter, bytes string) reply {
	t.Helper()
	if _, err := io.WriteString(conn, bytes); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(bytes, " ")
	return readReply(t, bufio.NewReader(conn), method)
}

// direct makes a request as one would make it without Evergate.
func direct(method, target, header, body string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nX-Shopify-Access-Token: %s\r\n%s\r\n%s", method, target, shopDomain, accessToken, header, body)
}

// through makes the same request as one would make it with Evergate.
func through(method, target, header, body string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n%s", method, target, header, body)
}
