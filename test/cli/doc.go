// Package cli tests the command line as people type it: scripts in testdata say which
// commands are given to the real binary, with which exit code each ends, and what it prints
// where. A script reads like a session in a terminal, so it is also an example.
//
// The scripts are testscript's (github.com/rogpeppe/go-internal/testscript), with these
// commands beside its own:
//
//	exits CODE program args...   the program ends with this code
//	shop                         a simulated Shopify; the environment holds what an app on it is
//	                             configured with, and the file refresh-token one of its own
//
// Every script begins with an empty environment except for PATH, HOME and where Go's tests put
// their files.
package cli
