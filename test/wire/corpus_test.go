package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"evergate/test/corpus"
)

// What the corpus hides, and its length, hide elsewhere as well.
const (
	smuggled = corpus.Smuggled
	hello    = corpus.Hello
)

var its = strconv.Itoa(len(smuggled))

// run sends the attack and holds what comes of it against what must.
func run(t *testing.T, a corpus.Attack, up *recorder, s *sidecar) {
	t.Helper()
	stream, wantAnswers, wantArrived := a.Bytes(), a.Answers, a.Arrives
	if !a.Ends {
		stream += corpus.Probe
		wantAnswers, wantArrived = append(slices.Clone(wantAnswers), http.StatusOK), append(slices.Clone(wantArrived), "GET /probe.json")
	}
	conn := s.dial(t)
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, stream) }() // it may be refused before it has been read
	answers, ended := statuses(t, conn, stream, len(wantAnswers), a.Ends)
	if !slices.Equal(answers, wantAnswers) {
		t.Errorf("answered with %v, want %v", answers, wantAnswers)
	}
	if ended != a.Ends {
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
	for _, a := range corpus.All() {
		if names[a.Name] {
			t.Errorf("two cases are called %q", a.Name)
		}
		names[a.Name] = true
		t.Run(a.Name, func(t *testing.T) { run(t, a, up, s) })
		forwarded += len(a.Arrives)
		if !a.Ends {
			forwarded++
		}
		if a.Breaks {
			breaks++
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
