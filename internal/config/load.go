package config

import (
	"errors"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/caarlos0/env/v11"

	"evergate/internal/remedy"
	"evergate/internal/shopify"
	"evergate/internal/spelling"
	"evergate/internal/token"
)

// Load reads and checks every setting. The error joins one error for each mistake, and
// each says what to do. environ has the form of os.Environ. What only others can check, because
// they put it to use, is reported with the rest.
func Load(environ []string, others ...func(*Config) error) (*Config, error) {
	c, vars, err := parse(environ)
	err = errors.Join(err, c.check(vars))
	for _, check := range others {
		err = errors.Join(err, check(c))
	}
	if err != nil {
		err = errors.Join(err, c.moveMisspelt(vars))
	}
	return c, Redacted(err)
}

// Parse reads the settings without checking that they make sense together. It is for
// commands that need a few of them only, such as a health check.
func Parse(environ []string) (*Config, error) {
	c, _, err := parse(environ)
	return c, Redacted(err)
}

// parse returns the variables, too, as they were read.
func parse(environ []string) (*Config, map[string]string, error) {
	vars := env.ToMap(environ)
	delete(vars, "") // the library would take it for every field without a name
	c := &Config{files: map[string]string{}}
	for _, m := range misspelt(vars) {
		c.Warnings = append(c.Warnings, m)
	}
	if strings.TrimSpace(vars["SHOPIFY_ACCESS_TOKEN"]) == shopify.PlaceholderToken {
		c.placeholder = true
		delete(vars, "SHOPIFY_ACCESS_TOKEN")
	}
	var errs []error
	errs = append(errs, unknownNames(vars)...)
	errs = append(errs, hiddenNames(vars)...)
	errs = append(errs, cleanValues(vars)...)
	errs = append(errs, c.takeFiles(vars)...)
	errs = append(errs, c.strangeCredentials(vars)...)
	if err := env.ParseWithOptions(c, env.Options{Environment: vars}); err != nil {
		errs = append(errs, explain(err, vars)...)
	}
	c.Scopes, c.AllowedHosts, c.TrustedProxies = trimmed(c.Scopes), trimmed(c.AllowedHosts), trimmed(c.TrustedProxies)
	return c, vars, errors.Join(errs...)
}

// trimmed drops the spaces and the empty entries of a list that was written for reading.
func trimmed(list []string) []string {
	var out []string
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// setting is one field of Config that the environment can set.
type setting struct {
	name, defaultValue, help string
	group                    string // the heading above it in a list
	index                    int
	secret                   bool
}

// settings lists the fields of Config in order; it is the struct's tags, read once, by those
// commands that have settings.
var settings = sync.OnceValue(func() []setting {
	var all []setting
	t, group := reflect.TypeFor[Config](), ""
	for i := range t.NumField() {
		f := t.Field(i)
		if g := f.Tag.Get("group"); g != "" {
			group = g
		}
		if name := f.Tag.Get("env"); name != "" {
			all = append(all, setting{name, f.Tag.Get("envDefault"), f.Tag.Get("help"), group, i, f.Type == reflect.TypeFor[token.Secret]()})
		}
	}
	return all
})

// hasFile reports whether a setting can be given as NAME_FILE. The client id is no
// secret, but it is kept beside one so often that it can be given the same way.
func (s setting) hasFile() bool { return s.secret || s.name == "SHOPIFY_CLIENT_ID" }

// takeFiles reads each NAME_FILE, or the credential of that name, into NAME.
func (c *Config) takeFiles(vars map[string]string) (errs []error) {
	for _, s := range settings() {
		if !s.hasFile() {
			continue
		}
		path := vars[s.name+"_FILE"]
		if path == "" {
			var err error
			if path, err = credentialFile(vars, s.name); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		if path == "" {
			continue
		}
		if vars[s.name] != "" {
			errs = append(errs, remedy.New("keep one", "%s and %s_FILE are both set", s.name, s.name))
			continue
		}
		c.files[s.name] = path
		value, err := readFile(s.name, path)
		if err != nil {
			errs = append(errs, err)
			vars[s.name] = refused(s.name)
			continue
		}
		vars[s.name] = value.Reveal()
	}
	return errs
}

// explain turns the library's errors, which name struct fields, into ones that name the
// variable, its value and the remedy.
func explain(err error, vars map[string]string) []error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return []error{err}
	}
	var errs []error
	for _, e := range all.Errors {
		var p env.ParseError
		if !errors.As(e, &p) {
			errs = append(errs, e)
			continue
		}
		f, _ := reflect.TypeFor[Config]().FieldByName(p.Name)
		name := f.Tag.Get("env")
		wrong, do := shapeOf(f.Type)
		errs = append(errs, remedy.New(do, "%s=%q: %s", name, vars[name], wrong))
	}
	return errs
}

// shapeOf says that a value is not of a type, and how one is written.
func shapeOf(t reflect.Type) (wrong, do string) {
	switch t.String() {
	case "time.Duration":
		return "not a duration", "write a number with a unit, for example 5s, 500ms or 2m"
	case "int":
		return "not a whole number", "write for example 500"
	case "bool":
		return "not a boolean", "write true or false"
	case "slog.Level":
		return "not a log level", "write debug, info, warn or error"
	case "config.SamplingRatio":
		return "not a sampling ratio", "write off, all, or a number from 0 to 1 such as 0.01"
	case "config.Size":
		return "not a size", "write a number of bytes, or one with KiB or MiB, for example 1MiB"
	}
	return "not of the right form", "see its line in `evergate config`"
}

// unknownNames refuses EVERGATE_… names that are no settings, because a misspelt one
// would otherwise be a setting that silently does nothing.
func unknownNames(vars map[string]string) (errs []error) {
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if !strings.HasPrefix(name, "EVERGATE_") || known(name) || fromKubernetes(name) {
			continue
		}
		do := "`evergate config` lists them all; remove it"
		if near := nearest(name); near != "" {
			do = "did you mean " + near + "?"
		}
		errs = append(errs, remedy.New(do, "%s is not a setting", name))
	}
	return errs
}

// misspelt warns of SHOPIFY_… names that are within two letters of a setting. Other
// programs have names of their own there, so it is no mistake.
func misspelt(vars map[string]string) (warnings []*misspeltName) {
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if !strings.HasPrefix(name, "SHOPIFY_") || known(name) {
			continue // comparing a name with all that there are takes time at every start
		}
		if near := nearest(name); near != "" && spelling.Distance(name, near) <= 2 {
			warnings = append(warnings, &misspeltName{remedy.New("did you mean "+near+"?", "%s is not a setting", name), near})
		}
	}
	return warnings
}

// misspeltName is the warning of a name that looks like a setting's.
type misspeltName struct {
	error
	meant string
}

func (m *misspeltName) Unwrap() error { return m.error }

// moveMisspelt takes from the warnings those of a name that stands for a setting which has no value, and returns them. They are told with the
// mistakes, where there are some: what is missing may be there, by the wrong name.
func (c *Config) moveMisspelt(vars map[string]string) error {
	var missing, others []error
	for _, w := range c.Warnings {
		if m, ok := errors.AsType[*misspeltName](w); ok && !c.isSet(vars, strings.TrimSuffix(m.meant, "_FILE")) {
			missing = append(missing, w)
			continue
		}
		others = append(others, w)
	}
	c.Warnings = others
	return errors.Join(missing...)
}

// URLVariable is not a setting: `run` gives it to the command that it starts, which may
// be another Evergate.
const URLVariable = "EVERGATE_URL"

func known(name string) bool {
	return name == URLVariable || slices.ContainsFunc(settings(), func(s setting) bool {
		return s.name == name || s.hasFile() && s.name+"_FILE" == name
	})
}

// kubernetesNames are what Kubernetes puts into every pod beside a Service that is called
// evergate, or evergate-something.
var kubernetesNames = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^EVERGATE_(?:[A-Z0-9_]+_)?(?:PORT|PORT_\d+_.+|SERVICE_HOST|SERVICE_PORT|SERVICE_PORT_.+)$`)
})

func fromKubernetes(name string) bool {
	return kubernetesNames().MatchString(name) || strings.HasPrefix(name, "EVERGATE_PORT_") || strings.HasPrefix(name, "EVERGATE_SERVICE_")
}

// nearest returns the setting whose name differs least, if that is little.
func nearest(name string) string {
	var names []string
	for _, s := range settings() {
		names = append(names, s.name)
		if s.hasFile() {
			names = append(names, s.name+"_FILE")
		}
	}
	return spelling.Nearest(name, names, 3)
}
