package config

import (
	"slices"
	"strings"
)

// Getenv is os.Getenv for an environment that was handed to us; the last entry counts.
func Getenv(environ []string) func(string) string {
	return func(name string) string {
		for _, e := range slices.Backward(environ) {
			if value, ok := strings.CutPrefix(e, name+"="); ok {
				return value
			}
		}
		return ""
	}
}
