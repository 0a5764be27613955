// Command pacing measures what waiting for the rate limit is worth. It runs the real binary
// in front of the simulator, over TLS on the loopback, and puts three ways beside each other
// for a minute each: with pacing, without, and with a client that backs off by itself. It
// writes a table and a plot for docs/using/rate-limits.md. `make bench-pacing` runs it.
package main
