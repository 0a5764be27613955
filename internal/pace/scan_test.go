package pace

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	successBody = `{"data":{"shop":{"name":"Blue \"Finch\" {"}},"extensions":{"cost":{"requestedQueryCost":2,"actualQueryCost":2,` +
		`"throttleStatus":{"maximumAvailable":4000.0,"currentlyAvailable":3998,"restoreRate":200.0}}}}`
	throttledBody = `{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED","documentation":"https://shopify.dev/api/usage/rate-limits"}}],` +
		`"extensions":{"cost":{"requestedQueryCost":862,"actualQueryCost":null,` +
		`"throttleStatus":{"maximumAvailable":4000.0,"currentlyAvailable":572,"restoreRate":200.0}}}}`
	tooDearBody = `{"errors":[{"message":"Query cost is 1293, which exceeds the single query max cost limit (1000).","extensions":{"code":"MAX_COST_EXCEEDED","cost":1293}}]}`
	deniedBody  = `{"errors":[{"message":"Access denied","extensions":{"code":"ACCESS_DENIED"}}],"data":{"translatableResource":null}}`
)

func TestTheScannerFindsWhatAnAnswerSaysOfItsCost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body       string
		data, throttled  bool
		requested, avail float64 // zero: no report
	}{
		{"success", successBody, true, false, 2, 3998},
		{"throttled", throttledBody, false, true, 862, 572},
		{"too_dear", tooDearBody, false, false, 0, 0},
		{"denied", deniedBody, true, false, 0, 0},
		{"null_data_and_throttled", `{"data":null,"errors":[{"extensions":{"code":"THROTTLED"}}]}`, true, true, 0, 0},
		{"a_field_is_throttled", `{"errors":[{"path":["b"],"extensions":{"code":"THROTTLED"}}]}`, false, false, 0, 0},
		{"extensions_first", ` { "extensions" : {"cost":{"requestedQueryCost":7,"throttleStatus":{"maximumAvailable":10,"currentlyAvailable":3,"restoreRate":1}}}, "data" : {"a":1} } `, true, false, 7, 3},
		{"an_alias_is_no_extension", `{"data":{"extensions":{"cost":{"requestedQueryCost":9}},"errors":[{"extensions":{"code":"THROTTLED"}}]}}`, true, false, 0, 0},
		{"in_a_string", `{"data":{"a":"\",\"extensions\":{\"cost\":{}}"}}`, true, false, 0, 0},
		{"a_word_in_a_message", `{"errors":[{"message":"THROTTLED","extensions":{"code":"OTHER"}}]}`, false, false, 0, 0},
		{"html", `<html>{"errors":[{"extensions":{"code":"THROTTLED"}}]}`, false, false, 0, 0},
		{"a_list", `[{"errors":[{"extensions":{"code":"THROTTLED"}}]}]`, false, false, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, step := range []int{1, 2, 7, 1 << 20} {
				s := scanned([]byte(c.body), step)
				if s.data != c.data || saysThrottled(s.errors) != c.throttled {
					t.Errorf("in steps of %d: data %v, throttled %v", step, s.data, saysThrottled(s.errors))
				}
				r, ok := parseCost(s.extensions)
				if ok != (c.requested != 0) || ok && (r.requested.value != c.requested || r.available != c.avail) {
					t.Errorf("in steps of %d: the report is %+v, %v", step, r, ok)
				}
			}
		})
	}
}

func scanned(body []byte, step int) *scanner {
	s := &scanner{}
	for len(body) > 0 {
		n := min(step, len(body))
		s.write(body[:n])
		body = body[n:]
	}
	return s
}

// What the scanner makes of an answer is what encoding/json makes of it, as far as the
// answer is JSON whose members are spelt without escapes.
func FuzzCostReader(f *testing.F) {
	for _, s := range []string{successBody, throttledBody, tooDearBody, deniedBody, `{"data":null}`, `{"data":1,"data":null}`, `{"errors":[],"errors":{}}`, `{"a":{"b":[1,2,{"c":"]}"}]}}`, `{`, `"`, `{"extensions":"x"}`, `{"data":{"a":"\\","b":["\""]},"extensions":{}}`} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, body []byte, step int) {
		s := scanned(body, max(1, step))
		if len(s.errors) > largestErrors || len(s.extensions) > largestExtensions {
			t.Fatalf("kept %d and %d bytes", len(s.errors), len(s.extensions))
		}
		if b := scanned(body, 1); s.data != b.data || s.ended != b.ended || s.broken != b.broken || string(s.errors) != string(b.errors) || string(s.extensions) != string(b.extensions) {
			t.Fatalf("in steps of %d: %+v; byte by byte: %+v", step, s, b)
		}
		var members map[string]json.RawMessage
		if json.Unmarshal(body, &members) != nil || members == nil || bytes.ContainsRune(body, '\\') || len(body) > largestErrors {
			return
		}
		if !s.ended || s.broken {
			t.Fatalf("ended %v, broken %v", s.ended, s.broken)
		}
		if got, want := compact(s.errors), compact(members["errors"]); got != want {
			t.Fatalf("errors are %q, want %q", got, want)
		}
		if got, want := compact(s.extensions), compact(members["extensions"]); got != want {
			t.Fatalf("extensions are %q, want %q", got, want)
		}
		if _, there := members["data"]; s.data != there {
			t.Fatalf("data is there: %v, seen: %v", there, s.data)
		}
	})
}

// The reader of what Shopify writes and the one of any JSON are of one opinion, where the
// first has one.
func FuzzCostReport(f *testing.F) {
	usual := `{"cost":{"requestedQueryCost":2,"actualQueryCost":2,"throttleStatus":{"maximumAvailable":4000.0,"currentlyAvailable":3998,"restoreRate":200.0}}}`
	for _, s := range []string{
		usual, strings.Replace(usual, `"actualQueryCost":2`, `"actualQueryCost":null`, 1), `{"cost":{}}`, `{"cost":{,}}`, `{"cost":{"requestedQueryCost":2,}}`,
		`{"cost":{"throttleStatus":{}}}`, `{"cost":{"throttleStatus":{},"requestedQueryCost":02}}`, `{"cost":{"actualQueryCost":1.,"actualQueryCost":.5}}`,
		`{"cost":{"throttleStatus":{"restoreRate":1},"throttleStatus":{"maximumAvailable":2}}}`, `{"cost":{"requestedQueryCost":1}}}`, `{"cost":{"requestedQueryCost":1`,
		`{"cost":{"requestedQueryCost":1e3}}`, `{"cost":{"requestedQueryCost":` + strings.Repeat("9", 400) + `}}`,
	} {
		f.Add([]byte(s))
	}
	if _, ok := parseUsualCost([]byte(usual)); !ok {
		f.Error("what Shopify writes is not read without encoding/json")
	}
	f.Fuzz(func(t *testing.T, extensions []byte) {
		got, ok := parseUsualCost(extensions)
		if !ok {
			return
		}
		if want, ok := parseAnyCost(extensions); !ok || got != want {
			t.Fatalf("%+v, while encoding/json reads %+v, %v", got, want, ok)
		}
	})
}

// What is read of an answer without looking at all of it is what reading all of it finds, if it is JSON.
func FuzzUsualAnswer(f *testing.F) {
	usual := `{"cost":{"requestedQueryCost":2,"actualQueryCost":2,"throttleStatus":{"maximumAvailable":4000.0,"currentlyAvailable":3998,"restoreRate":200.0}}}`
	for _, s := range []string{
		successBody, throttledBody, deniedBody, `{"data":null,"extensions":` + usual + `}`, `{"data":{"a":1,"extensions":` + usual + `}}`, `{"data":{"a":[1,"extensions":` + usual + `}`,
		`{"data":1,"extensions":{},"extensions":` + usual + `}`, `{"data":"x,\"extensions\":` + usual + `}`, `{"data":"\\","extensions":` + usual + `}`, `{"data":1,"b":{"c":0,"extensions":` + usual + `},"extensions":` + usual + `}`,
		`{"data":1,"extensions":` + usual + "}\n", `{"data":1,"extensions":` + usual + `} `, `{"data":{"extensions":` + usual + `},"errors":[]}`, `{"data":,"extensions":` + usual + `}`,
	} {
		f.Add([]byte(s))
	}
	if report, ok := parseUsualAnswer([]byte(successBody)); !ok || report.available != 3998 {
		f.Error("what Shopify writes is read to its end")
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		got, ok := parseUsualAnswer(answer)
		if !ok || !json.Valid(answer) {
			return
		}
		s := scanned(answer, len(answer))
		want, found := parseCost(s.extensions)
		if !found || got != want || !s.data || !s.ended || s.broken {
			t.Fatalf("%q: %+v; all of it says %+v, %v, data %v, ended %v, broken %v", answer, got, want, found, s.data, s.ended, s.broken)
		}
	})
}

func TestReadingAUsualReportAllocatesNothing(t *testing.T) {
	extensions := scanned([]byte(successBody), 1<<20).extensions
	if n := testing.AllocsPerRun(100, func() { parseCost(extensions) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func compact(b []byte) string {
	var out bytes.Buffer
	if json.Compact(&out, b) != nil {
		return string(b)
	}
	return out.String()
}

func FuzzHeaders(f *testing.F) {
	f.Add("32/40", "2.0", "Exceeded 2 calls per second")
	f.Add("1/0", "NaN", "Exceeded 99999999999999 calls per second")
	f.Add("0", "7000", "0")
	f.Fuzz(func(t *testing.T, limit, after, body string) {
		h := http.Header{"X-Shopify-Shop-Api-Call-Limit": {limit}, "Retry-After": {after}}
		if used, size, ok := callLimit(h); ok && (used < 0 || size <= 0) {
			t.Fatalf("%v of %v", used, size)
		}
		if d := retryAfter(h); d < 0 || d > 24*time.Hour {
			t.Fatalf("Retry-After is %s", d)
		}
		if rate, ok := refusedRate([]byte(body)); ok && !(rate > 0) {
			t.Fatalf("a rate of %v", rate)
		}
	})
}
