package sidecar

import (
	"context"
	"log/slog"
	"time"

	"evergate/internal/clock"
	"evergate/internal/durable"
	"evergate/internal/token"
)

// tokenFile keeps the access token in a file, for tools that can do no more than read one. The file is replaced as a whole
// when there is another token, which is long before the one in it ends. It stays when the sidecar ends.
type tokenFile struct {
	path  string
	log   *slog.Logger
	newer chan token.Token // the newest that has not been written
}

// How long it is until a write that failed is tried again.
const (
	tokenFileAgain   = time.Second
	tokenFileLongest = time.Minute
)

func newTokenFile(path string, log *slog.Logger) *tokenFile {
	return &tokenFile{path: path, log: log, newer: make(chan token.Token, 1)}
}

// published is told of each token that becomes the current one, by one goroutine at a time. It does not block.
func (f *tokenFile) published(t token.Token) {
	select {
	case <-f.newer: // it is old before it is written
	default:
	}
	f.newer <- t
}

// run writes until ctx ends. A write that fails is tried again, as long as there is no newer token.
func (f *tokenFile) run(ctx context.Context) {
	var unwritten token.Token
	var again <-chan struct{}
	wait := tokenFileAgain
	for {
		select {
		case <-ctx.Done():
			return
		case unwritten = <-f.newer:
			wait = tokenFileAgain
		case <-again:
			wait = min(2*wait, tokenFileLongest)
		}
		again = nil
		// Without a newline, which a tool that reads the whole file would put into its header.
		if err := durable.Write(f.path, ".token-*", []byte(unwritten.Access.Reveal())); err != nil {
			f.log.Error("the token cannot be written to EVERGATE_TOKEN_FILE; whoever reads it meets an old one", "err", err, "again_in", wait.String())
			again = after(ctx, wait)
		}
	}
}

// after is closed when d has passed, or ctx has ended.
func after(ctx context.Context, d time.Duration) <-chan struct{} {
	done := make(chan struct{})
	go func() { _ = clock.Sleep(ctx, d); close(done) }()
	return done
}
