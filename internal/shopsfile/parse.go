package shopsfile

import (
	"cmp"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"evergate/internal/listen"
	"evergate/internal/remedy"
	"evergate/internal/spelling"
	"evergate/internal/token"
)

// Options are what a file is read beside.
type Options struct {
	// Path is the file's, for errors and for relative paths in it.
	Path string
	// Single is the shop of SHOPIFY_SHOP, which the file must not name again; zero: there is none.
	Single token.Shop
	// Taken are the listeners of settings.
	Taken []Taken
	// Reach refuses an address of a shop's own that strangers could reach; nil: none is refused.
	Reach func(listen.Address) error
}

// Taken are addresses that a setting has.
type Taken struct {
	Setting   string
	Addresses []listen.Address
}

// Parse reads a file's text. The error joins one for each mistake.
func Parse(text []byte, o Options) (*File, error) {
	r := &reader{Options: o, aliased: map[*yaml.Node]*own{}, settled: map[settling]*Settings{}, checked: map[string]credential{}}
	root := document(text, &r.mistakes)
	f := &File{}
	if r.none() {
		r.file(root, f)
	}
	if err := r.join(o.Path); err != nil {
		return nil, err
	}
	return f, nil
}

// reader reads one file.
type reader struct {
	Options
	mistakes
	defaults own
	common   *Settings           // of a shop that says nothing itself
	aliased  map[*yaml.Node]*own // read once, however many aliases there are
	settled  map[settling]*Settings
	checked  map[string]credential // of files, by path
	lines    map[token.Shop]int
	bound    listen.Bound
}

// credential is what a file of one was when it was read.
type credential struct {
	secret token.Secret
	err    error
}

// file reads the top level.
func (r *reader) file(root *yaml.Node, f *File) {
	places := r.entries(root, "the file", topKeys)
	if n := places["defaults"]; n != nil {
		values := r.entries(n, "defaults", settingKeys)
		r.defaults = r.own(values, "defaults")
		r.checkDefaults(values)
	}
	r.stored(places["stored"], f)
	r.login(places["login"], f)
	r.shops(places["shops"], f)
	if root == nil || len(f.Shops) == 0 && !f.Stored && r.none() {
		r.addf(0, "name shops below shops:, or write stored: true for every shop that has a grant in the store", "it names no shop")
	}
}

var topKeys = []string{"defaults", "shops", "stored", "login"}

// entries returns the values of a mapping by its keys, which have to be known; no value is an alias.
func (r *reader) entries(n *yaml.Node, what string, known []string) map[string]*yaml.Node {
	all := map[string]*yaml.Node{}
	r.each(n, what, func(key, value *yaml.Node) {
		name := key.Value
		switch {
		case !slices.Contains(known, name):
			do := "there are " + strings.Join(known, ", ")
			if near := nearest(name, known); near != "" {
				do = "did you mean " + near + "?"
			}
			r.addf(key.Line, do, "%s has a key that is not known%s", what, quoted(name))
		case all[name] != nil:
			r.addf(key.Line, "keep one", "%s has %s twice: it is on line %d already", what, name, all[name].Line)
		default:
			all[name] = value
		}
	})
	return all
}

// each calls f for each entry of a mapping whose key is a scalar. Nothing is an empty mapping.
func (r *reader) each(n *yaml.Node, what string, f func(key, value *yaml.Node)) {
	switch {
	case n == nil || isNull(n):
		return
	case n.Kind != yaml.MappingNode:
		r.addf(n.Line, "write key: value, one a line, or {} for none", "%s is no mapping", what)
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolved(n.Content[i]), n.Content[i+1]
		switch {
		case key.Tag == "!!merge":
			r.addf(n.Content[i].Line, "write the keys out, or below defaults", "%s has a merge key (<<), which is not read", what)
		case key.Kind != yaml.ScalarNode || key.Tag == "!!binary":
			r.addf(n.Content[i].Line, "write key: value", "%s has a key that is no text", what)
		default:
			if value.Kind == yaml.AliasNode {
				line := value.Line
				if value = value.Alias; value.Kind == yaml.ScalarNode { // what is wrong with it is wrong here
					value = &yaml.Node{Kind: value.Kind, Tag: value.Tag, Style: value.Style, Value: value.Value, Line: line}
				}
			}
			if key != n.Content[i] {
				key = &yaml.Node{Kind: key.Kind, Tag: key.Tag, Value: key.Value, Line: n.Content[i].Line}
			}
			f(key, value)
		}
	}
}

// nearest is the name that was meant. What is long is no misspelt one.
func nearest(name string, known []string) string {
	if len(name) > 40 {
		return ""
	}
	return spelling.Nearest(strings.ToLower(strings.ReplaceAll(name, "-", "_")), known, 3)
}

// quoted is a key behind a space where it can be no credential, which might have slipped to the left; else nothing.
func quoted(key string) string {
	if len(key) > 40 || strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-") != "" {
		return ""
	}
	return ": " + key
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// text returns a scalar as it was written. what is for the error.
func (r *reader) text(n *yaml.Node, what string) (string, bool) {
	switch {
	case n.Kind != yaml.ScalarNode:
		r.addf(n.Line, "write it behind the colon, on one line", "%s is no single value", what)
	case isNull(n) || strings.TrimSpace(n.Value) == "":
		r.addf(n.Line, "write a value, or remove the line", "%s is empty", what)
	case n.Style&yaml.TaggedStyle != 0 && n.Tag != "!!str":
		r.addf(n.Line, "write the value alone; Evergate resolves no tags", "%s has a tag (!…)", what)
	default:
		return n.Value, true
	}
	return "", false
}

// list returns a list of texts, which may also be one text with commas.
func (r *reader) list(n *yaml.Node, what string, most int) (all []string, ok bool) {
	if n.Kind != yaml.SequenceNode {
		text, ok := r.text(n, what)
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				all = append(all, item)
			}
		}
		return all, ok
	}
	if len(n.Content) > most {
		r.addf(n.Line, "leave out what is not needed", "%s has more than %d entries", what, most)
		return nil, false
	}
	for _, item := range n.Content {
		text, ok := r.text(resolved(item), what)
		if !ok {
			return nil, false
		}
		all = append(all, strings.TrimSpace(text))
	}
	return all, true
}

func (r *reader) stored(n *yaml.Node, f *File) {
	if n == nil {
		return
	}
	switch n.Value {
	case "true", "True", "TRUE":
		f.Stored = true
	case "false", "False", "FALSE":
	default:
		r.addf(n.Line, "write true or false", "stored is neither true nor false")
	}
	if f.Stored {
		f.unlisted = r.settle(n.Line, "stored: true", &own{grant: written{"offline", n.Line}})
	}
}

// mostPatterns and longestPattern keep a look whether a shop may log in short.
const mostPatterns, longestPattern = 100, 80

func (r *reader) login(n *yaml.Node, f *File) {
	if n == nil {
		return
	}
	patterns, _ := r.list(n, "login", mostPatterns)
	for _, p := range patterns {
		pattern := strings.TrimSuffix(strings.ToLower(p), ".myshopify.com")
		if pattern == "" || len(pattern) > longestPattern || strings.Trim(pattern, "abcdefghijklmnopqrstuvwxyz0123456789-*") != "" {
			r.addf(n.Line, `write for example ["acme-*"], or ["*"] for any shop`, "login has something else than names of shops, in which * stands for any part")
			return
		}
		f.login = append(f.login, pattern)
	}
	if len(f.login) > 0 && !f.Stored && r.none() {
		r.addf(n.Line, "write stored: true, so that a shop is served that has logged in", "login lets shops give a grant that would not be used")
	}
}

// shops reads the shops and sorts them.
func (r *reader) shops(n *yaml.Node, f *File) {
	if n != nil && n.Kind == yaml.MappingNode {
		f.Shops = make([]Shop, 0, len(n.Content)/2)
		r.lines = make(map[token.Shop]int, len(n.Content)/2)
	}
	r.takeListeners()
	r.each(n, "shops", func(key, value *yaml.Node) {
		if name, ok := r.shopName(key); ok {
			r.lines[name] = key.Line
			f.Shops = append(f.Shops, Shop{Name: name, Settings: r.shop(name, key.Line, value)})
		}
	})
	slices.SortFunc(f.Shops, func(a, b Shop) int { return cmp.Compare(a.Name.Handle(), b.Name.Handle()) })
	r.checkPins(f)
}

// longestName is more than a name has in DNS.
const longestName = 255

func (r *reader) shopName(key *yaml.Node) (token.Shop, bool) {
	if len(key.Value) > longestName {
		r.addf(key.Line, "give the name before .myshopify.com, for example acme", "a shop's name is longer than %d bytes", longestName)
		return token.Shop{}, false
	}
	name, err := token.ParseShop(key.Value)
	first, twice := r.lines[name]
	switch {
	case err != nil:
		r.add(key.Line, remedy.Prefix("shops", err))
	case twice:
		r.addf(key.Line, "keep one", "%s is there twice: it is on line %d already", name, first)
	case name == r.Single:
		r.addf(key.Line, "keep one", "%s is the shop of SHOPIFY_SHOP already", name)
	default:
		return name, true
	}
	return token.Shop{}, false
}

// shop reads what one shop says itself.
func (r *reader) shop(name token.Shop, line int, value *yaml.Node) *Settings {
	if isNull(value) || value.Kind == yaml.MappingNode && len(value.Content) == 0 {
		if r.common != nil {
			return r.common
		}
		s := r.settle(line, name.Domain(), &own{})
		if r.none() {
			r.common = s
		}
		return s
	}
	said, ok := r.aliased[value]
	if !ok {
		o := r.own(r.entries(value, name.Domain(), settingKeys), name.Domain())
		said = &o
		if value.Anchor != "" {
			r.aliased[value] = said
		}
	}
	s := r.settle(line, name.Domain(), said)
	if len(said.listen) > 0 {
		alone := *s
		alone.Listen = r.listeners(name, said)
		s = &alone
	}
	return s
}

// absolute is a path as the file means it.
func (r *reader) absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(r.Path), path)
}

func (r *reader) lineOf(name token.Shop) string { return "line " + strconv.Itoa(r.lines[name]) }
