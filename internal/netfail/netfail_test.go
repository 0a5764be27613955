package netfail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestErrorsAreToldByTheirTypeAlone(t *testing.T) {
	t.Parallel()
	const data = "customer"
	for want, err := range map[string]error{
		"no such host":       &net.OpError{Op: "dial", Err: &net.DNSError{Name: data, IsNotFound: true}},
		"cannot be looked":   &net.DNSError{Name: data, Err: data},
		"does not trust":     &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}},
		"for other names":    x509.HostnameError{Host: data, Certificate: &x509.Certificate{DNSNames: []string{data}}},
		"ended or is not":    x509.CertificateInvalidError{Reason: x509.Expired, Detail: data},
		"is not valid":       x509.CertificateInvalidError{Reason: x509.CANotAuthorizedForThisName, Detail: data},
		"given up":           context.Canceled,
		"answer in time":     &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded},
		"connection refused": &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
		"no route":           syscall.EHOSTUNREACH,
		"file descriptor":    syscall.EMFILE,
		"reset by peer":      fmt.Errorf("%s: %w", data, syscall.ECONNRESET),
		"closed before":      fmt.Errorf("malformed %q: %w", data, io.ErrUnexpectedEOF),
		"no TLS connection":  tls.RecordHeaderError{Msg: data},
		"not well-formed":    fmt.Errorf("malformed HTTP response %q", data),
		"our own sentence":   fmt.Errorf("%s: %w", data, plain{}),
	} {
		told := Plain(err)
		if !strings.Contains(told.Error(), want) || strings.Contains(told.Error(), data) || !errors.Is(told, err) {
			t.Errorf("%v: %v, want %s", err, told, want)
		}
	}
}

// plain is an error that quotes nothing.
type plain struct{}

func (plain) Error() string { return "our own sentence" }
func (plain) Plain() string { return "our own sentence" }
