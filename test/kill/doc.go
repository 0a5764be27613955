// Package kill holds the promise that an offline grant is never lost: not by SIGKILL at
// whatever moment, not by lost answers, full disks, read-only directories or damaged files.
//
// TestMain builds the binary once. It runs as a child against the simulator of Shopify,
// which lives in the test and is served over TLS, so a test can end the child at the very
// moment at which Shopify has replaced the refresh token and nobody knows it yet. Access
// tokens live two seconds there, so every process refreshes all the time.
//
// KILL_ROUNDS says how often processes are killed: 100 times by default, 15 with -short.
// The tests watch the store's directory with inotify and so need Linux.
package kill
