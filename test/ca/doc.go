// Package ca shows with programs that nobody here wrote what the local CA can do and what it cannot. Its tests take the
// key of an authority that the real binary made, as a thief would, and sign with it what they like; OpenSSL, GnuTLS, Go, Node, Python
// and Java then say whom they believe. They also have the system's and NSS' trust changed and restored, and look for the key
// where it must not be.
package ca
