package readfile

import "crypto/tls"

// LargestPEM bounds in bytes what is read of a file of certificates.
const LargestPEM = 4 << 20

// KeyPair is the certificate and the private key in two files, both as Owned reads them.
func KeyPair(cert, key string) (tls.Certificate, error) {
	certificate, _, err := Owned(cert, LargestPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	private, _, err := Owned(key, LargestPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certificate, private)
}
