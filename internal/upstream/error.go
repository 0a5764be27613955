package upstream

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

// Error says why a request got no answer. Its text is one of a closed list, because those of
// net/http and crypto/tls quote what came over the wire, and that is a customer's data.
// What it wraps is for errors.Is and errors.As, not for printing.
type Error struct{ err error }

// Error implements error.
func (e *Error) Error() string { return kind(e.err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.err }

// kind describes an error by its type alone.
func kind(err error) string {
	var (
		dns       *net.DNSError
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		network   net.Error
	)
	if own, ok := errors.AsType[*proxyError](err); ok {
		return own.Error()
	}
	if own, ok := errors.AsType[*settingError](err); ok {
		return own.Error()
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
		return "the connection was reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "the connection was closed before a whole answer had come"
	case isTLS(err):
		return "no TLS connection came about"
	}
	return "the connection ended, or what came was not well-formed HTTP"
}

// isTLS reports an error of the TLS layer.
func isTLS(err error) bool {
	var (
		record       tls.RecordHeaderError
		alert        tls.AlertError
		verification *tls.CertificateVerificationError
	)
	return errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &verification)
}
