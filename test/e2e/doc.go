// Package e2e holds the promises that only the whole program can keep: what a script, a pod
// or a person meets who runs the real binary.
//
// TestMain builds the binary once; every test starts it as a child process, as an operator
// would, and knows nothing of its inside: settings go in as environment, what comes out is
// HTTP, log lines and exit codes. Behind it stands the simulator of Shopify, in the test's
// own process and over TLS, so a test also sees what arrived there. No port is fixed.
//
// The tests mostly wait, so more of them run at once than there are processors. With
// -short the long ones shrink or are left out. TEST_RACE=1 builds the binary with the race
// detector; a race it finds fails the test it happened in.
//
// Some tests run curl, Node, Python or bash. They are skipped where one is missing, and fail
// instead where CI or TEST_COMPONENTS=required says that everything has to be there.
package e2e
