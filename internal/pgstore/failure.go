package pgstore

import (
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"evergate/internal/remedy"
	"evergate/internal/token"
)

// failure is what the client library or the server said. It must not be shown as it is: a server quotes what it cannot use.
type failure struct{ err error }

// Error implements error.
func (*failure) Error() string { return "PostgreSQL failed" }

// Unwrap returns what was said.
func (f *failure) Unwrap() error { return f.err }

// What the server says, by the codes of its manual's appendix A.
const (
	classConnection = "08"
	classData       = "22"
	classConstraint = "23"
	classAuth       = "28"
	classResources  = "53"

	codeReadOnly          = "25006"
	codeIdleInTransaction = "25P03"
	codeNoDatabase        = "3D000"
	codeNoSchema          = "3F000"
	codeSerialization     = "40001"
	codeDeadlock          = "40P01"
	codeNoPrivilege       = "42501"
	codeNoTable           = "42P01"
	codeShutdown          = "57P01"
	codeCrash             = "57P02"
	codeStarting          = "57P03"
	codeDiskFull          = "53100"
)

// codeOf is the server's code; empty where the connection failed.
func codeOf(err error) string {
	var said *pgconn.PgError
	if errors.As(err, &said) {
		return said.Code
	}
	return ""
}

// isPassing reports whether an error is the connection's, or of a state of the server that another one, or a moment, may not have.
func isPassing(err error) bool {
	var f *failure
	if !errors.As(err, &f) {
		return false
	}
	switch code := codeOf(err); code {
	case "", codeReadOnly, codeSerialization, codeDeadlock, codeIdleInTransaction, codeShutdown, codeCrash, codeStarting:
		return true
	default:
		return strings.HasPrefix(code, classConnection)
	}
}

// said is err in words that give nothing away, and with what can be done. What is no failure is from here and stays as it is.
func said(err error) error {
	var f *failure
	if !errors.As(err, &f) {
		return err
	}
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		return unreachable(f.err)
	}
	what := "PostgreSQL says " + server.Code
	if !quotes(server.Code) {
		what += " (" + oneLine(server.Message) + ")"
	}
	err = errors.New(what)
	if do := adviceFor(server.Code); do != "" {
		err = remedy.New(do, "%s", what)
	}
	if isPassing(f) {
		return token.Decide(token.ErrTransient, err)
	}
	return err
}

// quotes reports whether the text of an error may repeat a value.
func quotes(code string) bool {
	return strings.HasPrefix(code, classData) || strings.HasPrefix(code, classConstraint)
}

func adviceFor(code string) string {
	switch code {
	case codeReadOnly:
		return "connect to the primary: name all servers in EVERGATE_STORE, as in postgres://USER@HOST1,HOST2/DATABASE?target_session_attrs=read-write"
	case codeDiskFull:
		return "make room on the server's disk"
	case codeNoDatabase:
		return "make the database, or correct its name in EVERGATE_STORE"
	}
	switch {
	case strings.HasPrefix(code, classAuth):
		return "correct the user and the password in EVERGATE_STORE, or the server's pg_hba.conf"
	case strings.HasPrefix(code, classResources):
		return "raise the server's max_connections, or put a pooler before it"
	}
	return ""
}

func unreachable(err error) error {
	const do = "see that the server runs, that EVERGATE_STORE names it, and what its log says"
	// A ConnectError names user, database and addresses, never the password.
	var connecting *pgconn.ConnectError
	if errors.As(err, &connecting) {
		return token.Decide(token.ErrTransient, remedy.New(do, "PostgreSQL cannot be reached: %s", oneLine(connecting.Error())))
	}
	return token.Decide(token.ErrTransient, remedy.New(do, "the connection to PostgreSQL broke: %s", oneLine(err.Error())))
}

// oneLine also drops what is said twice: a server that refuses with TLS refuses without it.
func oneLine(s string) string {
	var parts []string
	for _, line := range strings.FieldsFunc(s, func(r rune) bool { return r < ' ' }) {
		if line = strings.TrimSpace(line); !slices.Contains(parts, line) {
			parts = append(parts, line)
		}
	}
	return strings.Join(parts, " ")
}
