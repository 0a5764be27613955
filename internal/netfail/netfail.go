// Package netfail says in words of our own why something failed on a connection.
//
// The texts of net/http, crypto/tls and crypto/x509 quote what came over the wire: a piece of an
// answer, which may be a customer's data, or names that a stranger chose. An error that may have
// come from there is shown and logged by its type alone.
package netfail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// ours is an error whose text quotes nothing.
type ours interface {
	error
	Plain() string
}

// Error is an error of which only the type is told. What it wraps is for errors.Is and errors.As, not for printing.
type Error struct{ err error }

// Plain makes an Error.
func Plain(err error) *Error { return &Error{err} }

// Error implements error.
func (e *Error) Error() string { return Say(e.err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.err }

// Say describes an error by its type alone.
func Say(err error) string {
	var (
		dns       *net.DNSError
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		network   net.Error
	)
	if own, ok := errors.AsType[ours](err); ok {
		return own.Plain()
	}
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "no such host"
	case errors.As(err, &dns):
		return "its name cannot be looked up"
	case errors.As(err, &authority):
		return "its certificate is signed by an authority that this machine does not trust"
	case errors.As(err, &name):
		return "its certificate is for other names"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has ended or is not valid yet"
	case errors.As(err, &invalid):
		return "its certificate is not valid"
	case errors.Is(err, context.Canceled):
		return "given up"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "it did not answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		return "there is no route to it"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "no file descriptor is left: raise the limit of open files"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset by peer"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "the connection was closed before a whole answer had come (EOF)"
	case IsTLS(err):
		return "no TLS connection was established"
	}
	return "the connection ended, or what came was not well-formed HTTP"
}

// IsTLS reports an error of the TLS layer.
func IsTLS(err error) bool {
	var (
		record       tls.RecordHeaderError
		alert        tls.AlertError
		verification *tls.CertificateVerificationError
	)
	return errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &verification)
}
