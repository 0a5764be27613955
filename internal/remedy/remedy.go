// Package remedy is the error that says, beside what is wrong, what to do about it.
//
// Invariant: nobody looks for a remedy in a text. It is a field, which New sets and Split reads.
package remedy

import (
	"errors"
	"fmt"
	"strings"
)

// Error is what is wrong and what to do about it.
type Error struct {
	Err    error  // what is wrong
	Remedy string // what to do about it
}

// New makes an Error. format and args say what is wrong, as for fmt.Errorf.
func New(remedy, format string, args ...any) error {
	return &Error{Err: fmt.Errorf(format, args...), Remedy: remedy}
}

// Error implements error: what is wrong, and what to do after a colon.
func (e *Error) Error() string { return e.Err.Error() + ": " + e.Remedy }

// Unwrap returns what is wrong.
func (e *Error) Unwrap() error { return e.Err }

// Split returns what an error says is wrong, with all that was put before it on the way, and
// the remedy; empty where the error has none, or where something was put after it.
func Split(err error) (wrong, remedy string) {
	wrong = err.Error()
	var e *Error
	if !errors.As(err, &e) {
		return wrong, ""
	}
	before, ends := strings.CutSuffix(wrong, ": "+e.Remedy)
	if !ends {
		return wrong, ""
	}
	return before, e.Remedy
}

// Prefix puts a text and a colon in front of each of the errors that err joins, because they
// are shown apart.
func Prefix(text string, err error) error {
	var all []error
	for _, e := range All(err) {
		all = append(all, fmt.Errorf("%s: %w", text, e))
	}
	return errors.Join(all...)
}

// All returns the errors that err joins, or err alone; none for nil.
func All(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, All(e)...)
	}
	return all
}
