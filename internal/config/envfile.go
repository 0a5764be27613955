package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"evergate/internal/plain"
	"evergate/internal/readfile"
	"evergate/internal/remedy"
)

// largestEnvFile bounds in bytes what is read; settings are a few lines.
const largestEnvFile = 1 << 20

// ReadEnvFile reads settings from a file of NAME=value lines, in the form of os.Environ. The file may be one of
// compose, of systemd or of a shell: where those read a line in different ways it is refused, and the error says how all
// of them read it alike. Names that are not for Evergate are left out: such a file may be an app's own. All mistakes are
// reported at once, with their lines; no error repeats a value. The warning says that others can read a secret in it, or change it.
func ReadEnvFile(path string) (environ []string, warning, _ error) {
	if path == "" {
		return nil, nil, remedy.New("name one", "--env-file: there is no file")
	}
	info, err := os.Stat(path)
	if here, _ := os.Getwd(); errors.Is(err, fs.ErrNotExist) && !filepath.IsAbs(path) && here != "" {
		return nil, nil, remedy.New("name it in full", "--env-file: there is no %s in %s", path, here)
	}
	if err != nil {
		return nil, nil, unreadable(err)
	}
	if info.Size() > largestEnvFile || !info.Mode().IsRegular() && !readfile.IsStream(path) {
		return nil, nil, remedy.New("name a file of NAME=value lines", "--env-file: %s is not such a file", path)
	}
	text, err := readfile.Read(path, largestEnvFile)
	if err != nil {
		return nil, nil, unreadable(err)
	}
	environ, err = parseEnvFile(string(text), path)
	// A mode says nothing on Windows.
	if err == nil && runtime.GOOS != "windows" && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 && holdsSecret(environ) {
		warning = remedy.New("chmod 600 "+path, "%s holds a secret, and other users may read it (mode %#o)", path, info.Mode().Perm())
	}
	if err == nil && warning == nil && info.Mode().IsRegular() && readfile.IsForeign(info) {
		warning = remedy.New(fmt.Sprintf("chown it to the user that runs Evergate, and chmod go-w %s", path), "%s can be changed by another user, who decides where the token goes with it", path)
	}
	return environ, warning, err
}

// unreadable says why a file of settings cannot be read.
func unreadable(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = remedy.New("name one that is there; `evergate init` writes one", "%w", err)
	case errors.Is(err, fs.ErrPermission):
		err = remedy.New("run Evergate as a user who may read it, or give it to this one with chown", "%w", err)
	}
	return remedy.Prefix("--env-file", err)
}

// Beneath is what of more still counts below environ, whose entries go first: a setting that environ gives as NAME_FILE takes the
// place of NAME, too, and the other way round.
func Beneath(environ, more []string) []string {
	getenv := Getenv(environ)
	return slices.DeleteFunc(slices.Clone(more), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		for _, s := range settings() {
			switch {
			case !s.hasFile():
			case name == s.name:
				return getenv(s.name+"_FILE") != ""
			case name == s.name+"_FILE":
				return getenv(s.name) != ""
			}
		}
		return false
	})
}

func holdsSecret(environ []string) bool {
	getenv := Getenv(environ)
	for _, s := range settings() {
		if s.secret && getenv(s.name) != "" {
			return true
		}
	}
	return false
}

// parseEnvFile reads the lines; name is the file's, for errors.
func parseEnvFile(text, name string) (environ []string, _ error) {
	if plain.IsUTF16(text) {
		return nil, remedy.New("save it as UTF-8", "%s is UTF-16 text", name)
	}
	var errs []error
	at := map[string]int{}
	number := 0
	for line := range strings.Lines(plain.Unmarked(text)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		variable, value, err := parseEnvLine(line)
		switch {
		case err != nil:
			errs = append(errs, remedy.Prefix(fmt.Sprintf("%s, line %d", name, number), err))
		case variable != strings.ToUpper(variable) && known(strings.ToUpper(variable)):
			errs = append(errs, remedy.New("write it in capitals", "%s, line %d: %s is no setting", name, number, variable))
		case !forEvergate(variable):
		case at[variable] > 0:
			errs = append(errs, remedy.New("keep one", "%s, line %d: %s is set on line %d already", name, number, variable, at[variable]))
		default:
			at[variable] = number
			environ = append(environ, variable+"="+value)
		}
	}
	return environ, errors.Join(errs...)
}

func parseEnvLine(line string) (name, value string, _ error) {
	name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
	switch {
	case !ok:
		return "", "", remedy.New("write NAME=value", "there is no equals sign")
	case !isVariable(name):
		return "", "", remedy.New("write NAME=value, the name in letters, digits and _, without a space before the equals sign", "what stands before the equals sign is no name")
	case value != "" && (value[0] == ' ' || value[0] == '\t'):
		return "", "", remedy.New("remove it", "there is a space behind the equals sign of %s", name)
	}
	quoted := byte(0)
	if value != "" && (value[0] == '"' || value[0] == '\'') {
		quoted = value[0]
		end := strings.IndexByte(value[1:], quoted)
		if end < 0 || end != len(value)-2 {
			return "", "", remedy.New("put one pair around the whole value, on one line, or none", "the quotation marks of %s do not enclose its value", name)
		}
		value = value[1 : len(value)-1]
	}
	switch {
	case !isText(value):
		return "", "", remedy.New("type it anew", "the value of %s holds a character that cannot be seen", name)
	case quoted == 0 && (strings.Contains(value, " #") || strings.Contains(value, "\t#")):
		return "", "", remedy.New("put the comment on a line of its own, or the value into quotation marks", "the value of %s may end before the #, or not", name)
	case quoted != '\'' && strings.Contains(value, "$"):
		return "", "", remedy.New("write the value itself; one that has a $ goes into '…'", "the value of %s has a $, and variables are not replaced here", name)
	case quoted != '\'' && strings.Contains(value, `\`):
		return "", "", remedy.New("put it into '…'", `the value of %s has a \, which some programs drop`, name)
	}
	return name, value, nil
}

func isText(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool { return !plain.IsVisible(r) })
}

func isVariable(name string) bool {
	return name != "" && !('0' <= name[0] && name[0] <= '9') && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9')
	})
}

// forEvergate are the names that Evergate reads: its own, Shopify's, those of OpenTelemetry and of a way out.
func forEvergate(name string) bool {
	for _, prefix := range []string{"EVERGATE_", "SHOPIFY_", "OTEL_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return strings.HasSuffix(strings.ToUpper(name), "_PROXY")
}

// EnvLine is a line of a file that ReadEnvFile, compose, systemd and a shell read alike, and docker where the value needs no
// quotation marks. The error says that no such line exists for a value.
func EnvLine(name, value string) (string, error) {
	for _, line := range []string{name + "=" + value, name + "='" + value + "'"} {
		if n, v, err := parseEnvLine(line); err == nil && n == name && v == value {
			return line, nil
		}
	}
	return "", fmt.Errorf("the value of %s cannot be written into a file of settings", name)
}
