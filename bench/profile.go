//go:build linux

package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

//go:embed profiled.go.txt
var profiled []byte

// profile says where the time of a request goes: a CPU profile of Evergate under a load, written to a file, what it
// allocates, and its system calls. Evergate gets a listener for that which it does not have otherwise.
func (r *rig) profile(out string, connections int, request []byte) error {
	binary, err := r.buildProfiled()
	if err != nil {
		return err
	}
	if err := pin(loadCore()); err != nil {
		return err
	}
	const length = 8 * time.Second
	top := func(file string, args ...string) error {
		text, err := commandOutput(nil, "go", append(append([]string{"tool", "pprof"}, args...), binary, file)...)
		fmt.Println(text)
		return err
	}
	err = r.profiled(binary, fmt.Sprintf("profile?seconds=%d", length/time.Second), out, connections, request, length, func(run *running, c *client) error {
		calls, _, err := systemCalls(run, c)
		fmt.Println(calls)
		return err
	})
	if err != nil {
		return err
	}
	if err := errors.Join(top(out, "-top", "-nodecount=50"), top(out, "-top", "-cum", "-nodecount=80")); err != nil {
		return err
	}
	heap := r.file("allocs.pprof")
	err = r.profiled(binary, fmt.Sprintf("allocs?seconds=%d", length/2/time.Second), heap, connections, request, length/2, nil, "BENCH_PROFILE_HEAP=1")
	if err != nil {
		return err
	}
	return errors.Join(top(heap, "-sample_index=alloc_objects", "-top", "-nodecount=50"), top(heap, "-sample_index=alloc_space", "-top", "-nodecount=20"))
}

// profiled fetches a profile while there is a load, and has more done with the process that it was fetched from.
func (r *rig) profiled(binary, what, out string, connections int, request []byte, length time.Duration, more func(*running, *client) error, settings ...string) error {
	listen, err := freePort()
	if err != nil {
		return err
	}
	settings = append(settings, "BENCH_PPROF_LISTEN="+listen)
	run, err := r.start(evergate(evergateName, binary, func(place) ([]string, error) { return settings, nil }), r.at.secure)
	if err != nil {
		return err
	}
	defer run.stop()
	c, err := newClient(run.listen, connections, request)
	if err != nil {
		return err
	}
	defer c.close()
	if _, err := c.closed(time.Second); err != nil {
		return err
	}
	fetched := make(chan error, 1)
	go func() { fetched <- fetch("http://"+listen+"/debug/pprof/"+what, out) }()
	each, err := perRequest(run, c, length+time.Second)
	if err := errors.Join(err, <-fetched); err != nil {
		return err
	}
	fmt.Printf("%s, %d connections: %s of CPU per request meanwhile\n\n", what, connections, each)
	if more == nil {
		return nil
	}
	return more(run, c)
}

func (r *rig) buildProfiled() (string, error) {
	source, binary := r.file("profiled.go"), r.file("evergate-profiled")
	target, err := filepath.Abs("cmd/proxy/profiled_by_bench.go")
	if err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{target: source}})
	if err != nil {
		return "", err
	}
	if err := errors.Join(os.WriteFile(source, profiled, 0o600), os.WriteFile(r.file("overlay.json"), overlay, 0o600)); err != nil {
		return "", err
	}
	return binary, buildEvergate(binary, r.file("overlay.json"))
}

func fetch(url, out string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return errors.Join(err, os.WriteFile(out, b, 0o600))
}

// systemCalls counts what a process asks of the kernel, in calls per request: a text, and all together. Under strace
// everything is slow, so fewer things happen at once than without; what a request itself needs is the same.
func systemCalls(run *running, c *client) (text string, each float64, err error) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return fmt.Sprintf("system calls are not counted: %v", err), 0, nil
	}
	args := []string{"-c", "-f", "-U", "calls,name"}
	for _, pid := range run.all {
		args = append(args, "-p", strconv.Itoa(pid))
	}
	cmd := exec.Command(strace, args...)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return "", 0, err
	}
	time.Sleep(500 * time.Millisecond) // it is attached by then, and no load runs yet
	done, err := c.closed(2 * time.Second)
	_ = cmd.Process.Signal(syscall.SIGINT)
	_ = cmd.Wait() // it says that it was interrupted
	if err == nil && done == 0 {
		err = errNoAnswers
	}
	if err != nil {
		return "", 0, fmt.Errorf("%s: %w", run.name, err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: system calls per request, of %d requests\n", run.name, done)
	for line := range strings.Lines(said.String()) {
		var calls int
		var name string
		if n, _ := fmt.Sscan(line, &calls, &name); n < 2 {
			continue
		}
		of := float64(calls) / float64(done)
		if name == "total" {
			each = of
		}
		if of >= 0.005 {
			fmt.Fprintf(&b, "  %6.2f  %s\n", of, name)
		}
	}
	return b.String(), each, nil
}

var errNoAnswers = errors.New("no answers")

// perRequest is the CPU time of a request, over a closed loop.
func perRequest(run *running, c *client, length time.Duration) (time.Duration, error) {
	before, err := cpu(run.all)
	if err != nil {
		return 0, err
	}
	done, err := c.closed(length)
	if err == nil && done == 0 {
		err = errNoAnswers
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", run.name, err)
	}
	after, err := cpu(run.all)
	return (after - before) / time.Duration(done), err
}
