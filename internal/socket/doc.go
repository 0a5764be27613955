// Package socket reads from and writes to TCP connections without telling Go's scheduler that a system call begins.
//
// The scheduler takes a processor away from a goroutine that has been in a system call for twenty microseconds, and wakes another
// thread for it: a socket's call never waits, but sending to a client on the same machine takes about as long. With one processor,
// as in a container, an eighth of the time of a small POST went to that and to the thread that watches over it; see docs/adr/0030-system-calls-that-do-not-wait.md.
//
// It also knows what a connection has been wrapped into: see Layers.
package socket
