package config

import (
	"errors"

	"evergate/internal/redact"
	"evergate/internal/remedy"
)

// hushed is an error that does not repeat a credential, whatever it was made from.
type hushed struct{ err error }

func (h hushed) Error() string { return redact.Text(h.err.Error()) }
func (h hushed) Unwrap() error { return h.err }

// hush hushes each of the errors that err joins.
func hush(err error) error {
	var all []error
	for _, e := range remedy.All(err) {
		all = append(all, hushed{e})
	}
	return errors.Join(all...)
}

// Hush takes credentials out of what each of the errors says that err joins. It is for those that are reported in another way
// than by Load.
func Hush(err error) error { return hush(err) }
