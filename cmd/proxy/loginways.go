package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"evergate/internal/login"
)

const (
	callbackTimeout = 10 * time.Second
	largestCallback = 128 << 10
	// loginDrain is how long the last page may take to reach the browser.
	loginDrain = time.Second
)

// redirectURL is what Shopify is told; it must stand in the app's configuration.
func (l loginCommand) redirectURL(port int) *url.URL {
	if l.redirect != nil {
		return l.redirect
	}
	return &url.URL{Scheme: "http", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Path: "/callback"}
}

// byCallback listens on this machine for the browser that Shopify sends back.
func (l loginCommand) byCallback(ctx context.Context) (login.Granted, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(l.port.number)))
	if err != nil {
		return login.Granted{}, fmt.Errorf("%w: give another --port, or --paste", err)
	}
	defer listener.Close()
	redirect := l.redirectURL(listener.Addr().(*net.TCPAddr).Port)
	authorize, state, err := l.flow.Begin(redirect.String())
	if err != nil {
		return login.Granted{}, err
	}
	end := make(chan login.Outcome, 1)
	var mu sync.Mutex // callbacks can come at the same time
	heard := func(o login.Outcome) {
		mu.Lock()
		defer mu.Unlock()
		if o.Err != nil && !login.IsOver(o.Err) {
			fmt.Fprintln(l.err, "evergate: a callback was refused, and the login goes on waiting:", o.Err)
			return
		}
		select {
		case end <- o:
		default: // one end is enough
		}
	}
	path := redirect.EscapedPath()
	server := &http.Server{
		Handler:           l.flow.Loopback("/"+strings.TrimPrefix(path, "/"), state, heard),
		ReadHeaderTimeout: callbackTimeout, ReadTimeout: callbackTimeout, MaxHeaderBytes: largestCallback,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
	}
	go func() { _ = server.Serve(listener) }() // it ends with Shutdown
	l.introduce(redirect, authorize)
	if l.browse != nil && !l.noBrowser {
		_ = l.browse(authorize) // the address is printed, so nothing is lost
	}
	return l.await(ctx, server, end)
}

func (l loginCommand) await(ctx context.Context, server *http.Server, end <-chan login.Outcome) (login.Granted, error) {
	o := login.Outcome{Err: errInterrupted}
	select {
	case o = <-end:
	case <-ctx.Done():
		l.flow.Close() // a code that is on its way to Shopify is worth the wait
		if errors.Is(context.Cause(ctx), errNoCallback) {
			o.Err = errNoCallback
		}
	}
	limited, cancel := context.WithTimeout(context.Background(), loginDrain)
	defer cancel()
	if server.Shutdown(limited) != nil {
		_ = server.Close()
	}
	select {
	case o = <-end: // it came at the last moment
	default:
	}
	return o.Granted, o.Err
}

// byPaste lets a person carry the answer from a browser elsewhere.
func (l loginCommand) byPaste(ctx context.Context) (login.Granted, error) {
	redirect := l.redirectURL(l.port.number)
	authorize, state, err := l.flow.Begin(redirect.String())
	if err != nil {
		return login.Granted{}, err
	}
	l.introduce(redirect, authorize)
	lines := readLines(ctx, l.stdin)
	refused := errNoPaste
	for {
		fmt.Fprint(l.out, "Address: ")
		select {
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errNoCallback) {
				return login.Granted{}, errNoCallback
			}
			return login.Granted{}, errInterrupted
		case line, ok := <-lines:
			if !ok {
				return login.Granted{}, refused
			}
			if strings.TrimSpace(line) == "" {
				continue
			}
			query := queryOf(line)
			err := fmt.Errorf("no address of an answer was pasted: it begins with %s? and is in the browser's address bar, after \"Install\"", redirect)
			if mayBeAnswer(query) {
				var granted login.Granted
				if granted, err = l.flow.Finish(ctx, state, query); err == nil || login.IsOver(err) {
					return granted, err
				}
			}
			fmt.Fprintln(l.err, "evergate: that is not it:", err)
			refused = err
		}
	}
}

// longestPasted is in bytes; an address of Shopify's has a few hundred.
const longestPasted = 64 << 10

// readLines makes a channel of a reader that cannot be interrupted. A line is cut at the longest that may be pasted.
func readLines(ctx context.Context, from io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		r := bufio.NewReaderSize(from, longestPasted)
		for rest := false; ; {
			line, more, err := r.ReadLine()
			if err != nil {
				return
			}
			whole := !rest
			if rest = more; !whole {
				continue
			}
			select {
			case lines <- string(line):
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

// mayBeAnswer tells what Shopify sends a browser back with from everything else that an address bar or a page has, above all from
// the link that begins the login.
func mayBeAnswer(query string) bool {
	return strings.Contains(query, "state=") && (strings.Contains(query, "code=") || strings.Contains(query, "error="))
}

// queryOf takes a whole address, or its query alone, with what a person copies along.
func queryOf(line string) string {
	line = strings.Trim(strings.TrimSpace(line), "\"'<>")
	if _, query, found := strings.Cut(line, "?"); found || strings.Contains(line, "://") {
		line = query
	}
	line, _, _ = strings.Cut(line, "#")
	return line
}
