package config

import (
	"encoding/base64"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"unicode"

	"evergate/internal/envelope"
	"evergate/internal/plain"
	"evergate/internal/remedy"
	"evergate/internal/shopify"
	"evergate/internal/token"
)

// standIn refuses what stands in the place of a credential and is certainly none: a line of a file of settings, a
// template that nobody filled in, a reference that nobody resolved. A credential is opaque, so that whatever else there is
// passes. Its error repeats nothing of the value.
func standIn(setting, value string) error {
	switch {
	case value == "" || isUsual(value) || setting == proxySetting: // a URL, whose password can be anything
		return nil
	case setting == "EVERGATE_STORE_KEY" || setting == "EVERGATE_STORE_KEY_PREVIOUS":
		if _, err := envelope.ParseKey(value); err == nil {
			return nil // 32 bytes in base64 look like many things
		}
	}
	const alone = "keep the value alone"
	switch p := patterns(); {
	case isAssignment(value):
		return remedy.New(alone+", without the name", "holds NAME=value")
	case p.reference.MatchString(value):
		return remedy.New("write the value itself, or have whoever starts Evergate look it up", "holds a reference to a store of secrets, which Evergate does not resolve")
	case p.path.MatchString(value):
		do := "give the value itself"
		if setting != "" {
			do += ", or set " + setting + "_FILE to a file that holds it"
		}
		return remedy.New(do, "holds the path of a file")
	case strings.Contains(value, "://"):
		return remedy.New("write the value itself; Evergate fetches none", "holds a URL")
	case p.entry.MatchString(value):
		return remedy.New(alone+", without the name", "holds a name and a value")
	case p.masked.MatchString(withoutPrefix(value)):
		return remedy.New("copy it from where it is shown in full", "holds a value that was masked or cut short")
	case p.bracketed.MatchString(value) || isFiller(value):
		return remedy.New("write the value that belongs there", "holds words that stand for a value")
	case isEncoded(value):
		return remedy.New("decode it, as Kubernetes does with what is under data in a Secret", "holds the base64 of a credential")
	case p.beside.MatchString(value):
		return remedy.New(alone, "holds something beside the credential")
	case withoutPrefix(value) == "":
		return remedy.New("copy it from where it is shown in full", "holds the beginning of a credential")
	}
	return nil
}

// isUsual knows the credentials that Shopify hands out, for which nothing needs to be looked up, or made ready.
func isUsual(value string) bool {
	const fewest = 32
	digits := withoutPrefix(value)
	return len(digits) >= fewest && strings.Trim(digits, "0123456789abcdefABCDEF") == ""
}

var patterns = sync.OnceValue(func() (p struct{ braced, variable, template, reference, entry, path, masked, bracketed, beside *regexp.Regexp }) {
	p.braced = regexp.MustCompile(`\$\{|\{\{|<%`)
	p.variable = regexp.MustCompile(`\$\(|\$[A-Za-z_]|%[A-Za-z_][A-Za-z0-9_]*%`)
	p.reference = regexp.MustCompile(`(?i)^(?:(?:vault|op|arn|ssm|secretref|secretsmanager|sops|ref\+[a-z0-9]+|aws|awssm|gcp|gcpsm|azure|akv|keyvault|keychain|pass|doppler|infisical|bws|bitwarden|kv):.|!vault|enc\[|@microsoft\.keyvault|projects/[^/]+/secrets/)`)
	// Base64 has equals signs at its end alone.
	p.entry = regexp.MustCompile(`(?i)^(?:-\s+|export\s+|set\s+|setx\s+|\$env:)?["']?[a-z][a-z0-9_.-]*["']?(?:\s*(?:=>|:=|:|=)\s*[^=\s].*|\s+=.*|:)$|^[a-z_.-]*(?:secret|token|key|password|id)=+$`)
	p.path = regexp.MustCompile(`^(?:/[^/]+/|\.{1,2}/|~/|[A-Za-z]:[\\/]|\\\\|file:)`)
	p.masked = regexp.MustCompile(`[*•●…]{2,}|^…$|\.{3}|[xX]{6,}|^[xX]{2,}$|^[xX._-]{3,}$`)
	p.bracketed = regexp.MustCompile(`^(?:<.*>|\[.*\]|\(.*\))$`)
	p.beside = regexp.MustCompile("[#;,\"'`<>()|&](?:shp[a-z]+_)?[0-9a-f]{32}$|^(?:shp[a-z]+_)?[0-9a-f]{32}[#;,\"'`<>()|&]")
	return p
})

// unexpanded refuses variables and templates, which whoever wrote them took for expanded. In the URL of a proxy there may
// be signs of all kinds in the password.
func unexpanded(setting, value string) error {
	if !strings.ContainsAny(value, "$%{<") {
		return nil
	}
	switch p := patterns(); {
	case p.braced.MatchString(value), setting != proxySetting && p.variable.MatchString(value):
		return remedy.New("write out what it stands for", "holds a variable or a template, which Evergate does not expand")
	}
	return nil
}

// withoutPrefix is what of a value is not the prefix of its kind.
func withoutPrefix(value string) string {
	if kind := shopify.CredentialOf(token.NewSecret(value)); kind != shopify.UnknownCredential {
		return strings.TrimPrefix(value, kind.Prefix())
	}
	return value
}

// isEncoded finds a credential of Shopify's in base64.
func isEncoded(value string) bool {
	b, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		b, err = base64.RawStdEncoding.DecodeString(value)
	}
	inner := strings.TrimSpace(string(b))
	return err == nil && (hex32().MatchString(inner) || withoutPrefix(inner) != inner)
}

// fillers are the words of which templates and examples make values, those that stand for nothing else first.
var fillers = [...]struct {
	certain bool
	words   []string
}{
	{true, []string{
		"clientsecret", "clientid", "accesstoken", "refreshtoken", "apikey", "apisecret", "secretkey", "your", "my", "here", "goes", "change", "replace", "insert", "enter", "fill", "paste", "example", "sample", "placeholder",
		"dummy", "redacted", "masked", "hidden", "removed", "omitted", "censored", "sensitive", "confidential", "todo", "tbd", "fixme", "none", "null", "nil", "undefined", "unset", "missing", "unknown", "notset", "empty", "value",
	}},
	{false, []string{
		"shopify", "client", "secret", "token", "access", "refresh", "password", "credential", "credentials", "api", "app", "admin", "store", "shop", "key", "id",
		"the", "this", "that", "real", "actual", "own", "with", "from", "to", "in", "into", "of", "is", "be", "not", "put", "set", "it", "me", "please", "d", "s", "string",
	}},
}

// isFiller reports whether a value consists of such words, one that is certain among them.
func isFiller(value string) bool {
	letters := strings.Map(func(r rune) rune {
		if strings.ContainsRune("-_./<>[](){}#: ", r) {
			return -1
		}
		return unicode.ToLower(r)
	}, withoutPrefix(value))
	const longest = 80
	return letters != "" && len(letters) <= longest && isOfWords(letters)
}

// isOfWords goes from each place that words lead to.
func isOfWords(letters string) bool {
	type place struct{ reached, certain bool } // reached in any way; in one with a word that is certain
	places := make([]place, len(letters)+1)
	places[0].reached = true
	for at, from := range places[:len(letters)] {
		if !from.reached {
			continue
		}
		for _, kind := range fillers {
			for _, word := range kind.words {
				if strings.HasPrefix(letters[at:], word) {
					to := &places[at+len(word)]
					to.reached, to.certain = true, to.certain || from.certain || kind.certain
				}
			}
		}
	}
	return places[len(letters)].certain
}

// wrongPath refuses a path, in a setting that holds one, that would become the name of something else than was meant.
func wrongPath(setting, value string) error {
	for _, path := range pathsIn(setting, value) {
		switch {
		case (path == "~" || strings.HasPrefix(path, "~/")) && (setting == "EVERGATE_CA_DIR" || setting == "EVERGATE_STORE"):
			return nil // said by CheckCADir, and by the store
		case strings.HasPrefix(path, "~"):
			return remedy.New("write the path in full", "begins with ~: a ~ is not expanded")
		case isSpecifier(path):
			return remedy.New("write the path in full", "begins with a specifier of systemd, which is expanded in units and not in files of settings")
		case path != strings.TrimSpace(path):
			return remedy.New("remove it", "has a space before or behind its path")
		case plain.IsQuoted(path):
			return remedy.New("remove them", "has quotation marks around its path, which are taken as part of it")
		case strings.Contains(path, "://"):
			return remedy.New("write a path", "holds a URL")
		case !isWindows && len(path) > 2 && path[1] == ':' && (path[2] == '\\' || path[2] == '/'):
			return remedy.New("write a path of this system", "holds a path of Windows")
		}
	}
	return nil
}

const isWindows = runtime.GOOS == "windows"

// isSpecifier knows %h/… and the like.
func isSpecifier(path string) bool {
	return len(path) >= 2 && path[0] == '%' && path[1] != '%' && (len(path) == 2 || path[2] == '/')
}

// pathsIn are the paths that the value of a setting has.
func pathsIn(setting, value string) (paths []string) {
	switch {
	case setting == "EVERGATE_CA_DIR" && !strings.HasPrefix(value, "file:"), strings.HasSuffix(setting, "_FILE"):
		return []string{value}
	case setting == "EVERGATE_STORE":
		if path, ok := strings.CutPrefix(value, "file:"); ok {
			return []string{strings.TrimPrefix(path, "//")}
		}
	case strings.HasSuffix(setting, "LISTEN"):
		for entry := range strings.SplitSeq(value, ",") {
			if path, ok := strings.CutPrefix(strings.TrimSpace(entry), "unix:"); ok {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// isAssignment knows a line of an env file of ours.
func isAssignment(value string) bool {
	name, _, ok := strings.Cut(strings.TrimPrefix(value, "export "), "=")
	return ok && (strings.HasPrefix(name, "SHOPIFY_") || strings.HasPrefix(name, "EVERGATE_"))
}
