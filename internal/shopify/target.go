package shopify

import "strings"

const (
	adminPrefix = "/admin/"
	apiPrefix   = "/admin/api/"
	graphQLName = "graphql.json"
)

// ScopesPath is the one harmless endpoint among those of OAuth: it lists the scopes of the
// token in use. Only this spelling is Scopes.
const ScopesPath = "/admin/oauth/access_scopes.json"

// Target is what the path of a request asks Shopify for. The zero Target asks for nothing.
type Target struct {
	// Path is the bytes that were read, as the client sent them and as they are forwarded.
	Path string
	// Kind is what the path leads to.
	Kind Kind
	// API is whose rate limit counts the call.
	API API
	// IsGraphQL says that the path is one of GraphQL's byte by byte, with a version or without,
	// so that the body is a document. Where API is GraphQL and this is false, the path leads there
	// in another spelling.
	IsGraphQL bool
	// MaybeGraphQL says that some router could take it for GraphQL's, in whatever spelling and
	// wherever it says so: no rule about REST may reach an operation through it.
	MaybeGraphQL bool
	// Route and Version are from closed lists, for whoever counts.
	Route   Route
	Version Version
	// Asked is the version as it stands in the path; empty unless it has the form of one, because
	// a client can write anything there.
	Asked string
}

// Kind is what a path leads to.
type Kind uint8

const (
	// Elsewhere is outside of the Admin API.
	Elsewhere Kind = iota
	// AdminAPI is below /admin/api/, or /admin/….json without a version. These must match byte
	// for byte, which no client finds hard.
	AdminAPI
	// Scopes is ScopesPath.
	Scopes
	// Credentials mints, destroys or shows credentials, in what any decoder could make of the path.
	Credentials
)

// API is one of Shopify's rate limits.
type API uint8

const (
	// Uncounted is what no rate limit counts: OAuth's endpoints.
	Uncounted API = iota
	// REST counts calls.
	REST
	// GraphQL counts what a document costs.
	GraphQL
)

// String returns the name, which is also the value of the metrics' label.
func (a API) String() string { return [...]string{"uncounted", "rest", "graphql"}[a] }

// AmbiguousPathError is a path with two readings: two parsers could disagree on what it
// asks for. Its text says what the path has that makes it so.
type AmbiguousPathError string

// Error implements error. It holds nothing of the path.
func (e AmbiguousPathError) Error() string { return string(e) }

// ParseTarget reads the raw path of a request: the bytes of the request target before the
// question mark. No other code reads a path. The error is an AmbiguousPathError, and the
// Target that comes with it the zero one.
//
// What a path leads to is looked for in its bytes as they are, except for what must not be
// reached in any spelling: that is looked for in what any decoder could make of them.
func ParseTarget(raw string) (Target, error) {
	if t, ok := targets.find(raw); ok {
		return t, nil
	}
	t, err := parseTarget(raw)
	if err == nil {
		targets.keep(t)
	}
	return t, err
}

var targets lately

func parseTarget(raw string) (Target, error) {
	seen, err := read(raw)
	if err != nil {
		return Target{}, err
	}
	version, asked := versionOf(raw)
	t := Target{
		Path: raw, Route: routeOf(raw), Version: version, Asked: asked,
		API: REST, IsGraphQL: isGraphQL(raw), MaybeGraphQL: seen.graphQL,
	}
	switch {
	case raw == ScopesPath:
		t.Kind = Scopes
	case seen.credentials:
		t.Kind = Credentials
	case strings.HasPrefix(raw, apiPrefix) && len(raw) > len(apiPrefix), strings.HasPrefix(raw, adminPrefix) && strings.HasSuffix(raw, ".json"):
		t.Kind = AdminAPI
	}
	switch {
	case t.Route == RouteGraphQL:
		t.API = GraphQL
	case strings.HasPrefix(raw, adminPrefix+"oauth/"):
		t.API = Uncounted
	}
	return t, nil
}

// isGraphQL knows the documented form, and the two without a version, which Shopify sends on to
// its oldest.
func isGraphQL(raw string) bool {
	rest, below := strings.CutPrefix(raw, apiPrefix)
	if !below {
		return raw == adminPrefix+graphQLName
	}
	version, name, versioned := strings.Cut(rest, "/")
	return rest == graphQLName || versioned && name == graphQLName && isWord(version)
}

// seen is what some decoder could find in a path.
type seen struct{ credentials, graphQL bool }

// read looks at every reading of a path that there is, and refuses one that has two.
func read(raw string) (seen, error) {
	if isPlain(raw) {
		return readSegments(raw)
	}
	var buf [256]byte // paths are shorter as a rule; a longer one with escapes allocates
	plain, why := decodeFully(buf[:0], raw)
	if why != "" {
		return seen{}, why
	}
	return readSegments(plain)
}
