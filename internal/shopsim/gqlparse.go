package shopsim

import "strconv"

// maxGQLDepth bounds the recursion of the parser and of all that walks its result.
const maxGQLDepth = 40

type gqlParser struct {
	lex   *gqlLexer
	tok   gqlToken
	err   error // the first one; all that follows is without meaning
	depth int
}

// parseGQL reads a request document.
func parseGQL(src string) (*gqlDocument, error) {
	p := &gqlParser{lex: newGQLLexer(src)}
	p.advance()
	doc := &gqlDocument{fragments: map[string]*gqlFragment{}}
	for p.err == nil && (p.tok.kind != gqlEOF || len(doc.operations)+len(doc.fragments) == 0) {
		p.definition(doc)
	}
	if p.err != nil {
		return nil, p.err
	}
	return doc, nil
}

func (p *gqlParser) advance() {
	if p.err != nil {
		return
	}
	p.tok, p.err = p.lex.next()
}

func (p *gqlParser) fail(msg string) {
	if p.err == nil {
		p.err = &gqlSyntaxError{msg: msg, pos: p.tok.pos}
	}
	p.tok = gqlToken{kind: gqlEOF, pos: p.tok.pos} // ends every loop
}

// is tells whether the current token is this punctuation or keyword.
func (p *gqlParser) is(kind gqlTokenKind, text string) bool {
	return p.err == nil && p.tok.kind == kind && p.tok.text == text
}

// eat steps over punctuation if it is there.
func (p *gqlParser) eat(punct string) bool {
	if p.is(gqlPunct, punct) {
		p.advance()
		return true
	}
	return false
}

func (p *gqlParser) expect(punct string) {
	if !p.eat(punct) {
		p.fail("unexpected " + p.tok.String() + ", expected " + strconv.Quote(punct))
	}
}

func (p *gqlParser) name() string {
	if p.err != nil || p.tok.kind != gqlName {
		p.fail("unexpected " + p.tok.String() + ", expected a name")
		return ""
	}
	name := p.tok.text
	p.advance()
	return name
}

// until repeats item up to the closing punctuation, at least once.
func (p *gqlParser) until(closing string, item func()) {
	if p.is(gqlPunct, closing) {
		p.fail("unexpected " + p.tok.String())
	}
	for p.err == nil && !p.eat(closing) {
		item()
	}
}

// deeper guards a step of recursion.
func (p *gqlParser) deeper(f func()) {
	if p.depth++; p.depth > maxGQLDepth {
		p.fail("the document is nested too deeply")
	} else {
		f()
	}
	p.depth--
}

func (p *gqlParser) definition(doc *gqlDocument) {
	switch {
	case p.is(gqlPunct, "{"):
		op := &gqlOperation{kind: "query", pos: p.tok.pos}
		op.selection = p.selectionSet()
		doc.operations = append(doc.operations, op)
	case p.is(gqlName, "query"), p.is(gqlName, "mutation"):
		doc.operations = append(doc.operations, p.operation())
	case p.is(gqlName, "fragment"):
		f := p.fragment()
		if doc.fragments[f.name] != nil {
			p.fail("fragment " + strconv.Quote(f.name) + " is defined twice")
		}
		doc.fragments[f.name] = f
	default:
		p.fail("unexpected " + p.tok.String())
	}
}

func (p *gqlParser) operation() *gqlOperation {
	op := &gqlOperation{pos: p.tok.pos}
	op.kind = p.name()
	if p.tok.kind == gqlName {
		op.name = p.name()
	}
	if p.eat("(") {
		p.until(")", func() { op.variables = append(op.variables, p.variable()) })
	}
	p.directives()
	op.selection = p.selectionSet()
	return op
}

func (p *gqlParser) variable() gqlVariable {
	v := gqlVariable{pos: p.tok.pos}
	p.expect("$")
	v.name = p.name()
	p.expect(":")
	v.required = p.typeRef()
	if p.eat("=") {
		fallback := p.value()
		v.fallback = &fallback
	}
	p.directives()
	return v
}

// typeRef reads a type such as [ID!]! and tells whether null is excluded.
func (p *gqlParser) typeRef() (required bool) {
	if p.eat("[") {
		p.deeper(func() { p.typeRef() })
		p.expect("]")
	} else {
		p.name()
	}
	return p.eat("!")
}

func (p *gqlParser) fragment() *gqlFragment {
	f := &gqlFragment{pos: p.tok.pos}
	p.advance() // "fragment"
	if p.is(gqlName, "on") {
		p.fail(`unexpected "on", expected the name of the fragment`)
	}
	f.name = p.name()
	if !p.is(gqlName, "on") {
		p.fail("unexpected " + p.tok.String() + `, expected "on"`)
	}
	p.advance()
	f.on = p.name()
	p.directives()
	f.selection = p.selectionSet()
	return f
}

func (p *gqlParser) selectionSet() (out []gqlSelection) {
	p.deeper(func() {
		p.expect("{")
		p.until("}", func() { out = append(out, p.selection()) })
	})
	return out
}

func (p *gqlParser) selection() gqlSelection {
	s := gqlSelection{pos: p.tok.pos}
	if p.eat("...") {
		p.fragmentUse(&s)
		return s
	}
	s.name = p.name()
	if p.eat(":") {
		s.alias = s.name
		s.name = p.name()
	}
	s.args = p.arguments()
	s.directives = p.directives()
	if p.is(gqlPunct, "{") {
		s.selection = p.selectionSet()
	}
	return s
}

// fragmentUse reads what follows "...".
func (p *gqlParser) fragmentUse(s *gqlSelection) {
	if p.tok.kind == gqlName && p.tok.text != "on" {
		s.spread = p.name()
		s.directives = p.directives()
		return
	}
	s.inline = true
	if p.is(gqlName, "on") {
		p.advance()
		s.on = p.name()
	}
	s.directives = p.directives()
	s.selection = p.selectionSet()
}

func (p *gqlParser) directives() (out []gqlDirective) {
	for p.is(gqlPunct, "@") {
		d := gqlDirective{pos: p.tok.pos}
		p.advance()
		d.name = p.name()
		d.args = p.arguments()
		out = append(out, d)
	}
	return out
}

func (p *gqlParser) arguments() (out []gqlArgument) {
	if p.eat("(") {
		p.until(")", func() { out = append(out, p.argument()) })
	}
	return out
}

func (p *gqlParser) argument() gqlArgument {
	a := gqlArgument{pos: p.tok.pos}
	a.name = p.name()
	p.expect(":")
	a.value = p.value()
	return a
}

func (p *gqlParser) value() (v gqlValue) {
	p.deeper(func() {
		switch {
		case p.eat("$"):
			v.variable = p.name()
		case p.eat("["):
			list := []gqlValue{}
			for p.err == nil && !p.eat("]") {
				list = append(list, p.value())
			}
			v.literal = list
		case p.eat("{"):
			object := []gqlArgument{}
			for p.err == nil && !p.eat("}") {
				object = append(object, p.argument())
			}
			v.literal = object
		default:
			v.literal = p.scalar()
		}
	})
	return v
}

// scalar reads a literal without parts. An enum value is taken as its name.
func (p *gqlParser) scalar() any {
	t := p.tok
	var v any
	var err error
	switch t.kind {
	case gqlInt:
		v, err = strconv.ParseInt(t.text, 10, 64)
	case gqlFloat:
		v, err = strconv.ParseFloat(t.text, 64)
	case gqlString:
		v = t.text
	case gqlName:
		v = keyword(t.text)
	default:
		p.fail("unexpected " + t.String() + ", expected a value")
		return nil
	}
	if err != nil {
		p.fail("number out of range: " + t.text)
		return nil
	}
	p.advance()
	return v
}

func keyword(name string) any {
	switch name {
	case "true":
		return true
	case "false":
		return false
	case "null":
		return nil
	}
	return name
}
