package policy

import (
	"bytes"
	"encoding/json"
	"testing"

	"evergate/internal/request"
)

// FuzzMembers holds the reading of an object against encoding/json's: the same names in the same
// order, and values of the same bytes.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{`{}`, ` { "a" : 1 , "b":[{"c":"}"}],"d":"\\"} `, `{"a":true,"a":null}`, `[]`, `{"\u0061":1}`, `{"x":{"y":["z",{}]},"n":-1e9}`, "{\"a\":\t\"\"\n}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !json.Valid(text) {
			return
		}
		members, err := membersOf(nil, text)
		d := json.NewDecoder(bytes.NewReader(text))
		if open, _ := d.Token(); open != json.Delim('{') {
			if err == nil {
				t.Fatalf("%q: %q of what is no object", text, members)
			}
			return
		}
		for n := 0; d.More(); n++ {
			name, _ := d.Token()
			var value json.RawMessage
			if err := d.Decode(&value); err != nil {
				t.Fatal(err)
			}
			if err != nil {
				continue // refused for a name that two parsers could read in two ways
			}
			if n == len(members) || !bytes.Equal(members[n].value, value) {
				t.Fatalf("%q: member %d is %q, want %q", text, n, members, value)
			}
			// encoding/json makes U+FFFD of bytes that are not UTF-8; such a body is refused before.
			if want := string(bytes.ToValidUTF8(members[n].name, []byte("\ufffd"))); want != name && !bytes.ContainsRune([]byte(want), 0xfffd) {
				t.Fatalf("%q: member %d is %q, want %q", text, n, want, name)
			}
		}
	})
}

func TestAnObjectWithTooManyKeysIsTooLarge(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	for i := range mostMembers + 1 {
		text.WriteString(map[bool]string{true: `{"k`, false: `,"k`}[i == 0])
		text.WriteString(string(rune('a'+i%26)) + string(rune('a'+i/26)))
		text.WriteString(`":0`)
	}
	text.WriteString("}")
	if !json.Valid(text.Bytes()) {
		t.Fatal("the test's own JSON is wrong")
	}
	if got := codeOf(judgeOuter(request.Header(jsonHeader()), []byte(`{"query":"{a}","extensions":`+text.String()+`}`))); got != "graphql_too_large" {
		t.Errorf("%s", got)
	}
}

func BenchmarkJudgeGraphQL(b *testing.B) {
	document := `{"query":"query Products($first: Int!) { products(first: $first) { edges { node { id title variants(first: 10) { edges { node { id sku price } } } } } } }","variables":{"first":50}}`
	header := request.Header(jsonHeader())
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := judgeGraphQL(header, []byte(document)); err != nil {
			b.Fatal(err)
		}
	}
}
