package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// attack is what a client sends over one connection and what must come of it.
type attack struct {
	name string
	// send are the client's bytes. {api} stands for where the API's paths begin.
	send string
	// arrives are the requests that Shopify gets, each as method, path below the API and
	// body. None other does, and none in another reading.
	arrives []string
	// answers are the statuses that the client gets, in this order.
	answers []int
	// ends says that the connection ends with the last answer. Otherwise it must be fit for
	// another request, which shows that no byte was read in two ways.
	ends bool
	// breaks says that a request may begin to arrive, and is broken off.
	breaks bool
}

// refused is the most frequent outcome: an answer of Evergate's own and the end of the connection.
func refused(name, send string, status int) attack {
	return attack{name: name, send: send, answers: []int{status}, ends: true}
}

// passes is the other one: one request arrives and is answered.
func passes(name, send, arrives string) attack {
	return attack{name: name, send: send, arrives: []string{arrives}, answers: []int{http.StatusOK}}
}

// denied is a request that Evergate understands and does not let through.
func denied(name, send string, status int) attack {
	return attack{name: name, send: send, answers: []int{status}}
}

// probe is the request that shows whether a connection can still be trusted.
const probe = "GET " + api + "/probe.json HTTP/1.1\r\nHost: localhost\r\n\r\n"

// bytes are what is sent.
func (a attack) bytes() string { return strings.ReplaceAll(a.send, "{api}", api) }

// run sends the attack and holds what comes of it against what must.
func (a attack) run(t *testing.T, up *recorder, s *sidecar) {
	t.Helper()
	stream, wantAnswers, wantArrived := a.bytes(), a.answers, a.arrives
	if !a.ends {
		stream += probe
		wantAnswers, wantArrived = append(slices.Clone(wantAnswers), http.StatusOK), append(slices.Clone(wantArrived), "GET /probe.json")
	}
	conn := s.dial(t)
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, stream) }() // it may be refused before it has been read
	answers, ended := statuses(t, conn, stream, len(wantAnswers), a.ends)
	if !slices.Equal(answers, wantAnswers) {
		t.Errorf("answered with %v, want %v", answers, wantAnswers)
	}
	if ended != a.ends {
		t.Errorf("the connection ended: %v", ended)
	}
	arrived := up.take(t)
	if got := below(arrived); !slices.Equal(got, wantArrived) {
		t.Errorf("arrived %q\nwant    %q", got, wantArrived)
	}
}

// below names requests as the tables do.
func below(all []message) []string {
	names := make([]string, len(all))
	for i, m := range all {
		names[i] = strings.Replace(m.String(), " "+api+"/", " /", 1)
	}
	return names
}

// statuses reads n answers, or all there are when the connection is to end.
func statuses(t *testing.T, conn net.Conn, stream string, n int, toTheEnd bool) (all []int, ended bool) {
	t.Helper()
	method, _, _ := strings.Cut(stream, " ") // an answer to HEAD has no body; the tables have one HEAD at most, and first
	in := bufio.NewReader(conn)
	for len(all) < n || toTheEnd {
		status, err := answer(in, method)
		if errors.Is(err, io.EOF) || isReset(err) {
			return all, true
		}
		if err != nil {
			t.Fatalf("after the answers %v: %v", all, err)
		}
		all = append(all, status)
		method = ""
	}
	return all, false
}

// answer reads one answer and returns its status.
func answer(in *bufio.Reader, method string) (int, error) {
	if _, err := in.Peek(1); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(in, &http.Request{Method: method})
	if err != nil {
		return 0, fmt.Errorf("no answer: %w", err)
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

func TestMalformedRequestsHaveOneMeaningOrNone(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, nil)
	runCorpus(t, up, up.sidecar(t))
}

func runCorpus(t *testing.T, up *recorder, s *sidecar) {
	t.Helper()
	forwarded, breaks, names := 0, 0, map[string]bool{}
	for _, list := range [][]attack{lengths, codings, chunks, lines, fields, targets, hosts, methods, versions, offers} {
		for _, a := range list {
			if names[a.name] {
				t.Errorf("two cases are called %q", a.name)
			}
			names[a.name] = true
			t.Run(a.name, func(t *testing.T) { a.run(t, up, s) })
			forwarded += len(a.arrives)
			if !a.ends {
				forwarded++
			}
			if a.breaks {
				breaks++
			}
		}
	}
	t.Logf("%d cases", len(names))
	if broken := up.brokenOff(); len(broken) > breaks {
		t.Errorf("%d requests were broken off, and there was reason for %d: %q", len(broken), breaks, broken)
	}
	if n := s.forwarded(t); n != forwarded {
		t.Errorf("the sidecar says that it forwarded %d requests; %d arrived", n, forwarded)
	}
}
