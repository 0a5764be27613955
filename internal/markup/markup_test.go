package markup

import (
	"html"
	"strings"
	"testing"
)

func TestAPage(t *testing.T) {
	t.Parallel()
	var p Page
	p.Put("<style>")
	p.Trusted("a > b {}")
	p.Put("</style>")
	p.Put(`<a title="{}">{}</a>`, `"><script>`, "{} & <b>'")
	const want = `<style>a > b {}</style><a title="&#34;&gt;&lt;script&gt;">{} &amp; &lt;b&gt;&#39;</a>`
	var b strings.Builder
	if n, err := p.WriteTo(&b); err != nil || n != int64(len(want)) || b.String() != want || p.String() != want {
		t.Errorf("%s", b.String())
	}
}

func TestAFormatWithoutItsValuesIsAMistake(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(*Page){
		"too_few":  func(p *Page) { p.Put("{} {}", "a") },
		"too_many": func(p *Page) { p.Put("{}", "a", "b") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("it was written")
				}
			}()
			write(&Page{})
		})
	}
}

// No value can end the text or the attribute that it stands in.
func FuzzAValueStaysWhereItIs(f *testing.F) {
	for _, seed := range []string{"", "{}", `"><img src=x onerror=alert(1)>`, "</p>", "&lt;", "\x00", "\xff\xfe", "'`=", "\u2028"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, v string) {
		var p Page
		p.Put(`<p title="{}">{}</p>`, v, v)
		inner, ok := strings.CutPrefix(p.String(), `<p title="`)
		attribute, rest, quoted := strings.Cut(inner, `"`)
		text, closed := strings.CutSuffix(strings.TrimPrefix(rest, ">"), "</p>")
		if !ok || !quoted || !closed || strings.ContainsAny(attribute+text, `<>"'`) {
			t.Fatalf("%q", p.String())
		}
		if html.UnescapeString(attribute) != v || html.UnescapeString(text) != v {
			t.Errorf("%q is read as %q and %q", v, html.UnescapeString(attribute), html.UnescapeString(text))
		}
	})
}
