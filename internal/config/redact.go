package config

import (
	"errors"

	"evergate/internal/redact"
	"evergate/internal/remedy"
)

// redactedError is an error that does not repeat a credential, whatever it was made from.
type redactedError struct{ err error }

func (e redactedError) Error() string { return redact.Text(e.err.Error()) }
func (e redactedError) Unwrap() error { return e.err }

// Redacted takes credentials out of what each of the errors says that err joins.
func Redacted(err error) error {
	var all []error
	for _, e := range remedy.All(err) {
		all = append(all, redactedError{e})
	}
	return errors.Join(all...)
}
