package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const creation = `mutation Make { productCreate(product: {title: \"Lamp\"}) { product { id } } }`

// header is a request's, as name and value in turn.
func (s *sidecar) send(t *testing.T, method, path, body string, header ...string) answer {
	t.Helper()
	a, err := sendTo(t, s.client, s.url, method, path, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func sendTo(t *testing.T, client *http.Client, url, method, path, body string, header ...string) (answer, error) {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	return read(resp)
}

// products counts what the shop has, without the sidecar.
func (s *sidecar) products(t *testing.T) string {
	t.Helper()
	return s.get(t, "/products/count.json").body
}

// mustBeDenied fails unless a is GraphQL's way to say no, with this code.
func mustBeDenied(t *testing.T, a answer, code string) {
	t.Helper()
	var body struct {
		Data   any
		Errors []struct {
			Message    string
			Extensions struct{ Code string }
		}
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.status != http.StatusOK || a.header.Get("X-Evergate-Error") != code ||
		len(body.Errors) != 1 || body.Errors[0].Extensions.Code != "ACCESS_DENIED" || body.Errors[0].Message == "" || body.Data != nil {
		t.Fatalf("want a GraphQL error with %s, got %s (%v)", code, a, err)
	}
}

func TestReadOnlyReadsAndChangesNothing(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(time.Hour), products: 3})
	s := shop.readySidecar(t, "EVERGATE_POLICY=read-only", "EVERGATE_REPLAY_BUFFER=0")
	before := s.products(t)

	a := s.post(t, "/graphql.json", `{"query":"query Q { shop { name } }","operationName":"Q","variables":{}}`)
	if mustStatus(t, a, http.StatusOK); !strings.Contains(a.body, `"name"`) || a.header.Get("X-Evergate-Error") != "" {
		t.Fatalf("a query: %s", a)
	}
	mustBeDenied(t, s.post(t, "/graphql.json", `{"query":"`+creation+`"}`), "read_only")
	mustBeDenied(t, s.post(t, "/graphql.json", `{"query":"query Q { shop { name } } `+creation+`","operationName":"Make"}`), "read_only")
	mustBeOwn(t, s.post(t, "/products.json", `{"product":{"title":"Lamp"}}`), http.StatusForbidden, "read_only")

	// What two parsers read in two ways.
	for _, c := range []struct {
		path, body, contentType string
		status                  int
		code                    string
	}{
		{"", `{"query":"{ shop { name } }","query":"` + creation + `"}`, "application/json", 400, "ambiguous_graphql"},
		{"", `{"Query":"{ shop { name } }","query":"{ shop { name } }"}`, "application/json", 400, "ambiguous_graphql"},
		{"", `{"query":"query Q { shop { name } } ` + creation + `"}`, "application/json", 400, "ambiguous_graphql"},
		{"", `[{"query":"` + creation + `"}]`, "application/json", 400, "ambiguous_graphql"},
		{"", `{"query":"query Make { shop { name } } #\r` + creation + `","operationName":"Make"}`, "application/json", 400, "ambiguous_graphql"},
		{"", `{"query":"{ shop { name } }"} {"query":"` + creation + `"}`, "application/json", 400, "malformed_graphql"},
		{"", "query=" + creation, "application/x-www-form-urlencoded", 400, "ambiguous_graphql"},
		{"?query=" + strings.ReplaceAll(creation, " ", "+"), `{"query":"{ shop { name } }"}`, "application/json", 400, "ambiguous_graphql"},
	} {
		a := s.send(t, http.MethodPost, api+"/graphql.json"+c.path, c.body, "Content-Type", c.contentType)
		mustBeOwn(t, a, c.status, c.code)
	}
	mustBeOwn(t, s.get(t, "/graphql.json?query=%7Bshop%7Bname%7D%7D"), http.StatusBadRequest, "ambiguous_graphql")
	mustBeOwn(t, s.send(t, http.MethodGet, api+"/products/1.json", "", "X-HTTP-Method-Override", "DELETE"), http.StatusBadRequest, "ambiguous_method")

	// Framing makes no difference: in pieces, and longer than any buffer.
	mutation := `{"query":"mutation { productCreate(product: {title: \"Lamp\"}) { product { id } } }"}`
	a = s.raw(t, "POST "+api+"/graphql.json HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"+
		fmt.Sprintf("%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", 10, mutation[:10], len(mutation)-10, mutation[10:]))
	mustBeDenied(t, a, "read_only")
	a = s.raw(t, "POST "+api+"/graphql.json HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close, content-type\r\n"+
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(mutation), mutation))
	mustBeOwn(t, a, http.StatusBadRequest, "ambiguous_graphql")

	if after := s.products(t); after != before {
		t.Errorf("products before %s, after %s", before, after)
	}
	for _, e := range shop.Journal() {
		if strings.Contains(string(e.Body), "mutation") || e.Method != http.MethodGet && e.Route != "token" && e.Route != "graphql" {
			t.Errorf("this reached Shopify: %s %s %s", e.Method, e.Path, e.Body)
		}
	}
	if n := s.metric(t, "evergate_caller_requests_total", `caller="anonymous"`, `outcome="denied"`); n != 15 {
		t.Errorf("%v denials are counted, want 15", n)
	}
}

func TestAPolicyFileSaysWhoMayDoWhatAndCanBeChanged(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(time.Hour), products: 3})
	file := filepath.Join(t.TempDir(), "policy.json")
	write := func(mode string) {
		text := `{"default":"p","policies":{"p":{"base":"none","mode":"` + mode + `","queries":["shop"],"mutations":[],"rest":[{"methods":["GET"],"path":"/admin/api/*/products/**"}]}}}`
		text = strings.Replace(text, `"mutations":[],`, "", 1)
		if mode == "" {
			text = "{"
		}
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write("report")
	s := shop.readySidecar(t, "EVERGATE_POLICY_FILE="+file)
	mustStatus(t, s.post(t, "/graphql.json", `{"query":"`+creation+`"}`), http.StatusOK)
	mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
	s.AwaitLog(t, "reported: this policy would refuse it")
	if n := s.metric(t, "evergate_caller_requests_total", `outcome="reported"`); n != 2 {
		t.Errorf("%v requests were reported, want 2", n)
	}

	write("enforce")
	s.AwaitLog(t, "a changed file is in force")
	mustBeDenied(t, s.post(t, "/graphql.json", `{"query":"`+creation+`"}`), "denied_operation")
	mustBeDenied(t, s.post(t, "/graphql.json", `{"query":"{ shop { name } products(first: 1) { nodes { id } } }"}`), "denied_operation")
	mustBeOwn(t, s.get(t, "/shop.json"), http.StatusForbidden, "denied_operation")
	mustStatus(t, s.post(t, "/graphql.json", `{"query":"{ it: shop { name } }"}`), http.StatusOK)
	mustStatus(t, s.get(t, "/products/count.json"), http.StatusOK)

	write("")
	s.AwaitLog(t, "a changed file is not used; what it held before stays in force")
	mustBeOwn(t, s.get(t, "/shop.json"), http.StatusForbidden, "denied_operation")
	if status := s.ask(t, "/status").body; !strings.Contains(status, "EVERGATE_POLICY_FILE") {
		t.Errorf("the status says nothing of it: %s", status)
	}
	code, out, _ := finish(t, shop.environ("EVERGATE_POLICY_FILE="+file), "check")
	if code != 2 || !strings.Contains(out, "EVERGATE_POLICY_FILE: line 1") {
		t.Errorf("check: %d\n%s", code, out)
	}
}

// A body of which only so much is judged must not be held back by a policy that only reports.
func TestALargeUploadPassesAReportingPolicyWhole(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(time.Hour)})
	file := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(file, []byte(`{"default":"p","policies":{"p":{"base":"read-only","mode":"report"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := shop.readySidecar(t, "EVERGATE_POLICY_FILE="+file)
	body := `{"query":"{ shop { name } }","variables":{"x":"` + strings.Repeat("x", 400<<10) + `"}}`
	for how, raw := range map[string]string{
		"sized":   fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body),
		"chunked": fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body),
	} {
		a := s.raw(t, "POST "+api+"/graphql.json HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"+raw)
		if e := shop.lastCall(t); a.status != http.StatusOK || e.BodySize != len(body) {
			t.Errorf("%s: %s, %d bytes arrived of %d", how, a, e.BodySize, len(body))
		}
	}
}
