package shopsfile

import (
	"cmp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"evergate/internal/config"
	"evergate/internal/listen"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

// own is what one mapping of settings says.
type own struct {
	id, secret, previous, access, refresh source
	grant, policy, scopes                 written
	listen                                []listen.Address
	line, listenLine                      int // the first of a credential, and of listen
}

// written is a text and where it was; no line: it was not.
type written struct {
	text string
	line int
}

// settling is what makes the Settings of shops equal.
type settling struct {
	id, secret, previous, access, refresh source
	grant, policy, scopes                 string
}

// The keys that hold a credential, each of which can have _file behind it, and the settings that they are in an environment.
var credentialKeys = [...]struct{ key, setting string }{
	{"client_id", "SHOPIFY_CLIENT_ID"}, {"client_secret", "SHOPIFY_CLIENT_SECRET"}, {"client_secret_previous", "SHOPIFY_CLIENT_SECRET_PREVIOUS"},
	{"access_token", "SHOPIFY_ACCESS_TOKEN"}, {"refresh_token", "SHOPIFY_REFRESH_TOKEN"},
}

func keyOf(setting string) string {
	for _, c := range credentialKeys {
		if c.setting == setting {
			return c.key
		}
	}
	return setting
}

var settingKeys = []string{
	"client_id", "client_id_file", "client_secret", "client_secret_file", "client_secret_previous", "client_secret_previous_file",
	"access_token", "access_token_file", "refresh_token", "refresh_token_file", "grant", "scopes", "policy", "listen",
}

// own reads one mapping of settings; what is the shop's domain, or defaults.
func (r *reader) own(values map[string]*yaml.Node, what string) (o own) {
	for i, to := range [...]*source{&o.id, &o.secret, &o.previous, &o.access, &o.refresh} {
		*to = r.source(values, credentialKeys[i].key, what)
		o.line = cmp.Or(o.line, lineOf(values, credentialKeys[i].key))
	}
	o.grant = r.choice(values["grant"], what+": grant", config.GrantAuto, config.GrantClientCredentials, config.GrantOffline, config.GrantStatic)
	o.policy = r.choice(values["policy"], what+": policy", "full", "read-only", "none")
	if n := values["scopes"]; n != nil {
		if scopes, ok := r.list(n, what+": scopes", mostScopes); ok {
			o.scopes = written{strings.Join(scopes, ","), n.Line}
		}
	}
	if n := values["listen"]; n != nil {
		o.listenLine = n.Line
		if text, ok := r.text(n, what+": listen"); ok {
			o.listen = r.addresses(n.Line, what, text)
		}
	}
	return o
}

// mostScopes is several times as many as Shopify has.
const mostScopes = 1000

func lineOf(values map[string]*yaml.Node, key string) int {
	for _, k := range [...]string{key, key + "_file"} {
		if n := values[k]; n != nil {
			return n.Line
		}
	}
	return 0
}

// choice reads one of some words.
func (r *reader) choice(n *yaml.Node, what string, words ...string) written {
	if n == nil {
		return written{}
	}
	text, ok := r.text(n, what)
	if !ok {
		return written{}
	}
	if text = strings.TrimSpace(text); !slices.Contains(words, text) {
		last := len(words) - 1
		r.addf(n.Line, "write "+strings.Join(words[:last], ", ")+" or "+words[last], "%s is none that there is%s", what, quoted(text))
		return written{}
	}
	return written{text, n.Line}
}

// source reads a credential that is given as it is, or as a file.
func (r *reader) source(values map[string]*yaml.Node, key, what string) source {
	plain, file := values[key], values[key+"_file"]
	if plain != nil && file != nil {
		r.addf(file.Line, "keep one", "%s has both %s and %s_file", what, key, key)
		return source{}
	}
	if plain != nil {
		if text, ok := r.text(plain, what+": "+key); ok {
			value, err := config.CleanSecret(text)
			if err != nil {
				r.add(plain.Line, behind(what+": "+key, err))
				return source{value: refused}
			}
			return source{value: value}
		}
		return source{value: refused}
	}
	if file == nil {
		return source{}
	}
	name := what + ": " + key + "_file"
	text, ok := r.text(file, name)
	if !ok {
		return source{value: refused}
	}
	path, err := config.CleanPath(text)
	if err != nil {
		r.add(file.Line, behind(name, err))
		return source{value: refused}
	}
	s := source{path: r.absolute(path)}
	if _, err := r.read(s); err != nil {
		r.add(file.Line, remedy.Prefix(name, err))
		return source{value: refused}
	}
	return s
}

// read is a credential as it is now; each file is read once.
func (r *reader) read(s source) (token.Secret, error) {
	if s.path == "" {
		return token.NewSecret(s.value), nil
	}
	found, seen := r.checked[s.path]
	if !seen {
		found.secret, found.err = config.ReadSecret(s.path)
		r.checked[s.path] = found
	}
	return found.secret, found.err
}

// refused stands for what cannot be read, so that it does not count as missing as well.
const refused = "refused"

// behind puts an error that has no subject behind one.
func behind(name string, err error) error {
	wrong, do := remedy.Split(err)
	if do == "" {
		return remedy.New("write another one", "%s %s", name, wrong)
	}
	return remedy.New(do, "%s %s", name, wrong)
}

// checkDefaults refuses what only one shop can have.
func (r *reader) checkDefaults(values map[string]*yaml.Node) {
	d := &r.defaults
	for _, key := range [...]string{"access_token", "access_token_file", "refresh_token", "refresh_token_file", "listen"} {
		if n := values[key]; n != nil {
			r.addf(n.Line, "write it at the shop that it is of", "defaults has %s, which belongs to one shop alone", key)
		}
	}
	d.access, d.refresh, d.listen = source{}, source{}, nil
	if d.id.isSet() || d.secret.isSet() || d.previous.isSet() {
		r.checkCredentials(d.line, "defaults", settling{id: d.id, secret: d.secret, previous: d.previous})
	}
}

// settle applies the defaults and settles the grant. Equal settings are one.
func (r *reader) settle(line int, what string, o *own) *Settings {
	d := &r.defaults
	s := settling{
		id: either(o.id, d.id), secret: either(o.secret, d.secret), previous: either(o.previous, d.previous), access: o.access, refresh: o.refresh,
		grant: config.GrantAuto, policy: d.policy.text, scopes: d.scopes.text,
	}
	for _, w := range []struct {
		to  *string
		own written
	}{{&s.policy, o.policy}, {&s.scopes, o.scopes}} {
		if w.own.line > 0 {
			*w.to = w.own.text
		}
	}
	for _, w := range []written{d.grant, o.grant} {
		if w.line > 0 {
			s.grant, line = w.text, max(line, o.grant.line)
		}
	}
	if made := r.settled[s]; made != nil {
		return made
	}
	made := &Settings{Policy: s.policy, id: s.id, secret: s.secret, previous: s.previous, access: s.access, refresh: s.refresh}
	if s.scopes != "" {
		made.Scopes = strings.Split(s.scopes, ",")
	}
	before := len(r.mistakes.list)
	r.settleGrant(line, what, s.grant, made)
	if o.id.isSet() || o.secret.isSet() || o.previous.isSet() || o.access.isSet() || o.refresh.isSet() {
		r.checkCredentials(cmp.Or(o.line, line), what, s)
	}
	if len(r.mistakes.list) == before && r.more == 0 { // who else is wrong in the same way is told as well
		r.settled[s] = made
	}
	return made
}

func either(own, other source) source {
	if own.isSet() {
		return own
	}
	return other
}

// settleGrant is config's rule, by the file's names.
func (r *reader) settleGrant(line int, what, grant string, s *Settings) {
	if grant == config.GrantAuto {
		if s.access.isSet() && (s.id.isSet() || s.secret.isSet() || s.refresh.isSet()) {
			r.addf(line, "say which to use with grant: static, or with grant: client_credentials or offline", "%s has both an access token and credentials of another grant", what)
			return
		}
		s.Inferred = true
		switch {
		case s.access.isSet():
			grant = config.GrantStatic
		case s.refresh.isSet():
			grant = config.GrantOffline
		default:
			grant = config.GrantClientCredentials
		}
	}
	s.Grant = grant
	if grant == config.GrantStatic {
		if !s.access.isSet() {
			r.addf(line, "give it as access_token_file, or as access_token", "%s has the grant static and no access token", what)
		}
		return
	}
	const do = "give client_id and client_secret_file below defaults, or at the shop"
	switch {
	case !s.id.isSet() && !s.secret.isSet():
		r.addf(line, do, "%s has no credentials", what)
	case !s.id.isSet():
		r.addf(line, do, "%s has a client_secret and no client_id", what)
	case !s.secret.isSet():
		r.addf(line, do, "%s has a client_id and no client_secret", what)
	}
}

// checkCredentials looks for one pasted where another belongs.
func (r *reader) checkCredentials(line int, what string, s settling) {
	var c config.Credentials
	id, _ := r.read(s.id) // what cannot be read is reported where it was named
	c.ID = id.Reveal()
	for _, one := range []struct {
		from source
		to   *token.Secret
	}{{s.secret, &c.Secret}, {s.previous, &c.Previous}, {s.access, &c.Access}, {s.refresh, &c.Refresh}} {
		*one.to, _ = r.read(one.from)
	}
	for _, err := range c.Mistakes(keyOf) {
		r.add(line, remedy.Prefix(what, err))
	}
}
