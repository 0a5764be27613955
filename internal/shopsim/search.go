package shopsim

import (
	"strconv"
	"strings"
)

// A query argument is in Shopify's search syntax: terms such as sku:"A 1" or created_at:>=2026-01-01, joined by
// AND (also by nothing at all), OR, NOT and parentheses. What cannot be read is read as something else, and a
// field that does not exist matches everything: Shopify warns, and refuses nothing.

// searchDoc looks up a field of what is searched. The field "" is for terms that name none.
type searchDoc func(field string) (value string, known bool)

// searchExpr tells whether something matches.
type searchExpr func(doc searchDoc) bool

// matching is what a query argument leaves of a list; nil if it leaves all.
func matching[T any](args map[string]any, docOf func(T) searchDoc) func(T) bool {
	text, _ := args["query"].(string)
	if strings.TrimSpace(text) == "" {
		return nil
	}
	expr := parseSearch(text)
	return func(item T) bool { return expr(docOf(item)) }
}

// maxSearchDepth bounds the recursion of the parser: what is nested deeper is left out.
const maxSearchDepth = 20

type searchParser struct {
	tokens []searchToken
	depth  int
}

// searchToken is a parenthesis, a word such as AND, or a term.
type searchToken struct {
	text   string // "(", ")", "-" or what was written, without quotes
	field  string // before the colon
	quoted bool
}

func parseSearch(text string) searchExpr {
	p := &searchParser{tokens: searchTokens(text)}
	expr := p.or()
	for len(p.tokens) > 0 { // a parenthesis that nothing opened
		p.tokens = p.tokens[1:]
		if len(p.tokens) > 0 {
			expr = both(expr, p.or())
		}
	}
	return expr
}

func both(a, b searchExpr) searchExpr { return func(doc searchDoc) bool { return a(doc) && b(doc) } }

// word tells whether the next token is one of the words that join terms, and takes it.
func (p *searchParser) word(word string) bool {
	if len(p.tokens) == 0 || p.tokens[0] != (searchToken{text: word}) {
		return false
	}
	p.tokens = p.tokens[1:]
	return true
}

func (p *searchParser) or() searchExpr {
	expr := p.and()
	for p.word("OR") {
		a, b := expr, p.and()
		expr = func(doc searchDoc) bool { return a(doc) || b(doc) }
	}
	return expr
}

func (p *searchParser) and() searchExpr {
	expr := p.not()
	for {
		p.word("AND")
		if len(p.tokens) == 0 || p.tokens[0] == (searchToken{text: ")"}) || p.tokens[0] == (searchToken{text: "OR"}) {
			return expr
		}
		expr = both(expr, p.not())
	}
}

func (p *searchParser) not() searchExpr {
	negated := false
	for p.word("NOT") || p.word("-") {
		negated = !negated
	}
	expr := p.term()
	if !negated {
		return expr
	}
	return func(doc searchDoc) bool { return !expr(doc) }
}

func (p *searchParser) term() searchExpr {
	everything := func(searchDoc) bool { return true }
	switch {
	case len(p.tokens) == 0:
		return everything
	case p.word("("):
		if p.depth++; p.depth > maxSearchDepth {
			p.tokens = nil
			return everything
		}
		expr := p.or()
		p.word(")")
		p.depth--
		return expr
	}
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	return t.matches
}

// searchTokens cuts the text into tokens.
func searchTokens(text string) []searchToken {
	var out []searchToken
	for {
		text = strings.TrimLeft(text, " \t\r\n,")
		if text == "" {
			return out
		}
		if strings.ContainsRune("()-", rune(text[0])) {
			out = append(out, searchToken{text: text[:1]})
			text = text[1:]
			continue
		}
		var t searchToken
		t, text = searchTerm(text)
		out = append(out, t)
	}
}

// searchTerm reads one term: a value, or a field and its value.
func searchTerm(text string) (t searchToken, rest string) {
	t.text, t.quoted, rest = searchValue(text, true)
	if !t.quoted && strings.HasPrefix(rest, ":") {
		t.field = strings.ToLower(t.text)
		t.text, t.quoted, rest = searchValue(rest[1:], false)
	}
	return t, rest
}

// searchValue reads a quoted string, or up to what ends a word; within a term's name a colon ends it, too.
func searchValue(text string, colon bool) (value string, quoted bool, rest string) {
	if text != "" && (text[0] == '"' || text[0] == '\'') {
		value, rest = unquoted(text)
		return value, true, rest
	}
	ends := " \t\r\n()"
	if colon {
		ends += ":"
	}
	i := strings.IndexAny(text, ends)
	switch {
	case i < 0:
		return text, false, ""
	case i == 0 && colon: // nothing before the colon: take it for a letter
		return text[:1], false, text[1:]
	}
	return strings.ReplaceAll(text[:i], `\`, ""), false, text[i:]
}

// unquoted reads a quoted string, in which a backslash takes the next character as it is.
func unquoted(text string) (value, rest string) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == text[0]:
			return b.String(), text[i+1:]
		case text[i] == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String(), ""
}

func (t searchToken) matches(doc searchDoc) bool {
	have, known := doc(t.field)
	if !known {
		return true
	}
	have, want := strings.ToLower(have), strings.ToLower(t.text)
	if t.field == "" {
		return strings.Contains(have, want)
	}
	if t.quoted {
		return have == want
	}
	for _, op := range []string{">=", "<=", ">", "<"} {
		if value, ok := strings.CutPrefix(want, op); ok {
			return compares(have, op, strings.Trim(value, `"'`))
		}
	}
	if prefix, ok := strings.CutSuffix(want, "*"); ok {
		return strings.HasPrefix(have, prefix)
	}
	return have == want
}

// compares numbers as numbers, and all else, times among it, letter by letter.
func compares(have, op, want string) bool {
	order := strings.Compare(have, want)
	a, errA := strconv.ParseFloat(have, 64)
	b, errB := strconv.ParseFloat(want, 64)
	if errA == nil && errB == nil {
		order = 0
		if a != b {
			order = 1
		}
		if a < b {
			order = -1
		}
	}
	switch op {
	case ">":
		return order > 0
	case "<":
		return order < 0
	case ">=":
		return order >= 0
	}
	return order <= 0
}

// fields makes a document of named values; its title stands for terms that name no field.
func searchFields(fields map[string]func() string) searchDoc {
	return func(name string) (string, bool) {
		get, known := fields[name]
		if !known {
			return "", false
		}
		return get(), true
	}
}

func searchProduct(p *product) searchDoc {
	return searchFields(map[string]func() string{
		"":             func() string { return p.title + " " + p.vendor + " " + p.productType + " " + p.tags },
		"id":           func() string { return strconv.FormatInt(p.id, 10) },
		"title":        func() string { return p.title },
		"handle":       func() string { return p.handle },
		"vendor":       func() string { return p.vendor },
		"product_type": func() string { return p.productType },
		"status":       func() string { return p.status },
		"created_at":   func() string { return gqlTime(p.created) },
		"updated_at":   func() string { return gqlTime(p.updated) },
	})
}

// searchVariant is asked for every variant of a shop, so it makes nothing.
func searchVariant(v *variant) searchDoc {
	return func(field string) (string, bool) {
		switch field {
		case "":
			return v.product.title + " " + v.title + " " + v.sku(), true
		case "id":
			return strconv.FormatInt(v.id, 10), true
		case "sku":
			return v.sku(), true
		case "barcode":
			return v.barcode, true
		case "title":
			return v.title, true
		case "product_id":
			return strconv.FormatInt(v.product.id, 10), true
		case "updated_at":
			return gqlTime(v.updated), true
		}
		return "", false
	}
}

func searchItem(it *inventoryItem) searchDoc {
	return searchFields(map[string]func() string{
		"":           func() string { return it.sku },
		"id":         func() string { return strconv.FormatInt(it.id, 10) },
		"sku":        func() string { return it.sku },
		"created_at": func() string { return gqlTime(it.variant.created) },
		"updated_at": func() string { return gqlTime(it.updated) },
	})
}

func searchLocation(l *location) searchDoc {
	return searchFields(map[string]func() string{
		"":     func() string { return l.name },
		"id":   func() string { return strconv.FormatInt(l.id, 10) },
		"name": func() string { return l.name },
	})
}
