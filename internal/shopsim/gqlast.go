package shopsim

// gqlDocument is a parsed request document: operations and fragments, which is
// all that a client may send.
type gqlDocument struct {
	operations []*gqlOperation
	fragments  map[string]*gqlFragment
}

type gqlOperation struct {
	kind      string // "query" or "mutation"
	name      string
	variables []gqlVariable
	selection []gqlSelection
	pos       gqlPos
}

type gqlVariable struct {
	name     string
	required bool // its type ends in !
	fallback *gqlValue
	pos      gqlPos
}

type gqlFragment struct {
	name      string
	on        string
	selection []gqlSelection
	pos       gqlPos
}

// gqlSelection is a field, a fragment spread or an inline fragment.
type gqlSelection struct {
	alias      string
	name       string // of a field
	args       []gqlArgument
	spread     string // name of the fragment
	inline     bool
	on         string // type condition of an inline fragment, may be ""
	directives []gqlDirective
	selection  []gqlSelection
	pos        gqlPos
}

// key is the name of a field in the answer.
func (s gqlSelection) key() string { return orDefault(s.alias, s.name) }

type gqlDirective struct {
	name string
	args []gqlArgument
	pos  gqlPos
}

type gqlArgument struct {
	name  string
	value gqlValue
	pos   gqlPos
}

// gqlValue is a literal, or the name of a variable.
type gqlValue struct {
	variable string
	literal  any // nil, bool, int64, float64, string, []gqlValue or []gqlArgument (an object)
}
