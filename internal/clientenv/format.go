package clientenv

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"evergate/internal/remedy"
)

// Format writes an environment in the form in which somebody else reads one.
type Format func(Environment) (string, error)

// plain is what every shell and every reader of an env file takes as it is.
var plain = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=-]+$`) })

// Shell is for eval in a POSIX shell, and in bash and zsh.
func Shell(e Environment) (string, error) {
	var b strings.Builder
	for _, name := range e.Unset {
		fmt.Fprintf(&b, "unset %s\n", name)
	}
	for _, v := range e.Set {
		value := v.Value
		if !plain().MatchString(value) {
			value = "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
		}
		fmt.Fprintf(&b, "export %s=%s\n", v.Name, value)
	}
	return b.String(), nil
}

// Dotenv is for a .env file. Between single quotes its many readers take everything as it is, but do not agree about
// a quote, a backslash or the end of a line there.
func Dotenv(e Environment) (string, error) {
	var b strings.Builder
	for _, v := range e.Set {
		value := v.Value
		switch {
		case strings.ContainsAny(value, "'\\\n\r"):
			return "", unfit(v, "a quotation mark, a backslash or a line break", "a .env file")
		case !plain().MatchString(value):
			value = "'" + value + "'"
		}
		fmt.Fprintf(&b, "%s=%s\n", v.Name, value)
	}
	return b.String(), nil
}

// Docker is for docker run --env-file, and podman's, which take all that follows the equals sign as it is.
func Docker(e Environment) (string, error) {
	var b strings.Builder
	for _, v := range e.Set {
		if strings.ContainsAny(v.Value, "\n\r\x00") {
			return "", unfit(v, "a line break", "Docker's env file")
		}
		fmt.Fprintf(&b, "%s=%s\n", v.Name, v.Value)
	}
	return b.String(), nil
}

// Kubernetes is for the env of a container. A JSON string is one of YAML's; $(NAME) would be a reference to another variable, and a
// dollar sign is written twice to stand for itself.
func Kubernetes(e Environment) (string, error) {
	var b strings.Builder
	b.WriteString("env:\n")
	for _, v := range e.Set {
		var value strings.Builder
		quoted := json.NewEncoder(&value)
		quoted.SetEscapeHTML(false)
		if err := quoted.Encode(strings.ReplaceAll(v.Value, "$", "$$")); err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "  - name: %s\n    value: %s", v.Name, value.String())
	}
	return b.String(), nil
}

func unfit(v Variable, what, where string) error {
	return remedy.New("change what it is made of, or use another form", "the value of %s has %s, which %s cannot hold", v.Name, what, where)
}
