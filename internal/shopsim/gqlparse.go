package shopsim

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/lexer"
	"github.com/vektah/gqlparser/v2/parser"
)

// maxGQLDepth bounds the recursion of the parser and of all that walks its result.
const maxGQLDepth = 40

// gqlPos is a place in a document, counted from 1 as GraphQL errors do.
type gqlPos struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

func gqlPosOf(p *ast.Position) gqlPos { return gqlPos{p.Line, p.Column} }

// gqlSyntaxError is a document that could not be read.
type gqlSyntaxError struct {
	msg string
	pos gqlPos
}

func (e *gqlSyntaxError) Error() string {
	return fmt.Sprintf("syntax error, %s at [%d, %d]", e.msg, e.pos.Line, e.pos.Column)
}

// parseGQL reads a request document: operations and fragments, which is all that a client
// may send.
func parseGQL(text string) (*ast.QueryDocument, error) {
	src := &ast.Source{Input: strings.TrimPrefix(text, "\ufeff")}
	end, err := scanGQL(src)
	if err != nil {
		return nil, err
	}
	doc, err := parser.ParseQuery(src)
	if err != nil {
		return nil, gqlSyntaxErrorOf(err, end)
	}
	if len(doc.Operations)+len(doc.Fragments) == 0 {
		return nil, &gqlSyntaxError{gqlEnd, end}
	}
	for _, op := range doc.Operations {
		if op.Operation == ast.Subscription {
			return nil, &gqlSyntaxError{`unexpected "subscription"`, gqlPosOf(op.Position)}
		}
	}
	defined := map[string]bool{}
	for _, f := range doc.Fragments {
		if defined[f.Name] {
			return nil, &gqlSyntaxError{"fragment " + strconv.Quote(f.Name) + " is defined twice", gqlPosOf(f.Position)}
		}
		defined[f.Name] = true
	}
	return doc, nil
}

const gqlEnd = "unexpected end of file"

// scanGQL looks for tokens that cannot be read, and for what a parser that knows no limits
// would let through: deep nesting, and numbers that no type can hold. It returns where the
// document ends.
func scanGQL(src *ast.Source) (end gqlPos, err error) {
	depth := 0
	for lex := lexer.New(src); ; {
		token, unreadable := lex.ReadToken()
		if unreadable != nil {
			return end, gqlSyntaxErrorOf(unreadable, end)
		}
		pos := gqlPosOf(&token.Pos)
		switch token.Kind {
		case lexer.EOF:
			return pos, nil
		case lexer.BraceL, lexer.BracketL:
			depth++
		case lexer.BraceR, lexer.BracketR:
			depth--
		case lexer.Int:
			_, err = strconv.ParseInt(token.Value, 10, 64)
		case lexer.Float:
			_, err = strconv.ParseFloat(token.Value, 64)
		default:
		}
		if depth > maxGQLDepth {
			return end, &gqlSyntaxError{"the document is nested too deeply", pos}
		}
		if err != nil {
			return end, &gqlSyntaxError{"number out of range: " + token.Value, pos}
		}
	}
}

// gqlSyntaxErrorOf gives an error of the parser's the form of Shopify's.
func gqlSyntaxErrorOf(err error, end gqlPos) error {
	problem, ok := errors.AsType[*gqlerror.Error](err)
	if !ok || len(problem.Locations) == 0 {
		return &gqlSyntaxError{err.Error(), gqlPos{1, 1}}
	}
	pos := gqlPos(problem.Locations[0])
	if pos == end {
		return &gqlSyntaxError{gqlEnd, pos}
	}
	first, size := utf8.DecodeRuneInString(problem.Message)
	return &gqlSyntaxError{strings.ToLower(string(first)) + strings.TrimSuffix(problem.Message[size:], "."), pos}
}
