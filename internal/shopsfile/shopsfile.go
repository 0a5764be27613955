// Package shopsfile reads EVERGATE_SHOPS_FILE: which shops there are, and what holds for each.
//
// Invariants: a file is taken as a whole or not at all; all its mistakes are reported at once, each with its line and its
// remedy; no error repeats a credential; a scalar is the text that was written, whatever YAML would make of it; the time
// and the memory that a file costs grow with its length alone. What most shops have in common is held once.
package shopsfile

import (
	"slices"
	"strings"

	"evergate/internal/config"
	"evergate/internal/listen"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

// File is what a shops file says. It is never changed.
type File struct {
	// Shops are those that it names, sorted by their handles.
	Shops []Shop
	// Stored says that every shop is served that has a grant in the store.
	Stored bool

	unlisted *Settings // of a shop that is only stored
	login    []string  // patterns of handles
}

// Shop is one shop of the file. Shops that say the same share their Settings.
type Shop struct {
	Name token.Shop
	*Settings
}

// Settings are what holds for a shop, the defaults applied.
type Settings struct {
	// Grant is as config.Config has it, settled from the credentials where it was auto; then Inferred says so, and a
	// stored grant may settle it otherwise.
	Grant    string
	Inferred bool
	Scopes   []string
	// Policy is as in EVERGATE_POLICY; empty: that holds.
	Policy string
	// Listen are listeners of the shop's own; their Shop is set.
	Listen []listen.Address

	id, secret, previous, access, refresh source
}

// source is where a credential is: in the file, or in one of its own.
type source struct {
	value, path string
}

// Shop returns a shop that the file names.
func (f *File) Shop(name token.Shop) (Shop, bool) {
	i, found := slices.BinarySearchFunc(f.Shops, name, func(s Shop, name token.Shop) int { return strings.Compare(s.Name.Handle(), name.Handle()) })
	if !found {
		return Shop{}, false
	}
	return f.Shops[i], true
}

// StoredShop returns what holds for a shop that the file does not name and that has a stored grant; false: it is not served.
func (f *File) StoredShop(name token.Shop) (Shop, bool) {
	if !f.Stored {
		return Shop{}, false
	}
	return Shop{Name: name, Settings: f.unlisted}, true
}

// MayLogin reports whether a merchant of this shop may give the app a grant: the file names it, and its token is no permanent
// one of the file's own, or a pattern lets it.
func (f *File) MayLogin(name token.Shop) bool {
	if s, ok := f.Shop(name); ok {
		return s.Grant != config.GrantStatic
	}
	return slices.ContainsFunc(f.login, func(pattern string) bool { return matches(pattern, name.Handle()) })
}

// Client returns the app's id and secret as they are now.
func (s *Settings) Client() (id string, secret token.Secret, err error) {
	now, err := s.id.read("client_id")
	if err != nil {
		return "", token.Secret{}, err
	}
	secret, err = s.secret.read("client_secret")
	return now.Reveal(), secret, err
}

// OtherSecret returns the second client secret of a rotation as it is now; empty: there is none.
func (s *Settings) OtherSecret() (token.Secret, error) {
	return s.previous.read("client_secret_previous")
}

// StaticToken returns the permanent token as it is now.
func (s *Settings) StaticToken() (token.Secret, error) { return s.access.read("access_token") }

// StaticTokenFile is the file that StaticToken reads; empty: there is none.
func (s *Settings) StaticTokenFile() string { return s.access.path }

// RefreshSeed returns the refresh token to begin with, if one is given.
func (s *Settings) RefreshSeed() (token.Secret, error) { return s.refresh.read("refresh_token") }

func (s source) isSet() bool { return s != source{} }

// read reads what rests in a file anew, so that it can be rotated without a restart.
func (s source) read(key string) (token.Secret, error) {
	switch {
	case s.path != "":
		secret, err := config.ReadSecret(s.path)
		if err != nil {
			return token.Secret{}, remedy.Prefix(key+"_file", err)
		}
		return secret, nil
	case s.value == "":
		return token.Secret{}, nil
	}
	return token.NewSecret(s.value), nil
}

// String keeps credentials out of what is printed.
func (source) String() string { return token.Secret{}.String() }

// GoString likewise.
func (source) GoString() string { return token.Secret{}.String() }

// matches reports whether a handle is of a pattern, in which * stands for any part. Patterns and handles are short.
func matches(pattern, handle string) bool {
	first, rest, starred := strings.Cut(pattern, "*")
	handle, ok := strings.CutPrefix(handle, first)
	if !ok || !starred {
		return ok && handle == ""
	}
	for {
		part, behind, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(handle, part)
		}
		_, after, found := strings.Cut(handle, part)
		if !found {
			return false
		}
		handle, rest = after, behind
	}
}
