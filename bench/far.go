//go:build linux

package main

import (
	"net"
	"time"
)

// carryFar carries a connection to an address that is near, as if it were far away: what is sent arrives half a round
// trip later, and nothing arrives before the round trip of TCP's own handshake is over, which the kernel has made at once.
// Neither loss nor a window is simulated: what is measured here are a few kilobytes, and how often somebody had to wait.
func carryFar(near net.Conn, target string) {
	up, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	established := time.Now().Add(distance)
	done := make(chan struct{}, 2)
	go func() { carry(up, near, established); done <- struct{}{} }()
	go func() { carry(near, up, established); done <- struct{}{} }()
	<-done
	<-done
	_ = up.Close()
}

// piece is bytes on their way; none are the end.
type piece struct {
	due   time.Time
	bytes []byte
}

func carry(to, from net.Conn, established time.Time) {
	way := make(chan piece, 1024)
	go func() {
		defer close(way)
		for {
			b := make([]byte, 16<<10)
			n, err := from.Read(b)
			sent := time.Now()
			if sent.Before(established) {
				sent = established
			}
			way <- piece{sent.Add(distance / 2), b[:n]}
			if err != nil {
				return
			}
		}
	}()
	for p := range way {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.bytes); err != nil {
			break
		}
	}
	_ = to.Close()
	for range way { // whoever reads must not be held up
		continue
	}
}
