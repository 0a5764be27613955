package config

// Error says that the settings or the command line are wrong, so that trying again without
// changing them is of no use.
type Error struct{ Err error }

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Wrong makes an Error of what is wrong.
func Wrong(err error) error { return &Error{err} }
