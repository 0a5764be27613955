//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The proxy has a core of its own; the upstream and the load share the other one. With one core they share that.
func proxyCore() int { return 0 }
func loadCore() int  { return min(1, cores()-1) }

// cores is how many the machine has, whatever this process was pinned to.
func cores() int {
	n, _ := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*")
	return max(1, len(n))
}

// pin puts every thread of this process on a core; threads that come later inherit it.
func pin(core int) error {
	var set unix.CPUSet
	set.Set(core)
	tasks, err := filepath.Glob("/proc/self/task/*")
	for _, task := range tasks {
		tid, _ := strconv.Atoi(filepath.Base(task))
		if e := unix.SchedSetaffinity(tid, &set); e != nil && !errors.Is(e, unix.ESRCH) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// process is a program that runs, with its children.
type process struct {
	cmd    *exec.Cmd
	output bytes.Buffer
	ended  chan struct{}
}

// launch starts a program on a core, which its children and threads inherit. It does not exec through taskset, because that
// would be measured as part of the start.
func launch(core int, environ []string, program string, args ...string) (*process, error) {
	return launchWith(core, environ, nil, program, args...)
}

// launchWith is launch for a program whose output somebody reads.
func launchWith(core int, environ []string, out io.Writer, program string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(program, args...), ended: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "GOMAXPROCS=1"}, environ...)
	p.cmd.Stdout, p.cmd.Stderr = out, &p.output
	if out == nil {
		p.cmd.Stdout = &p.output
	}
	// Who is killed with this process leaves its own children behind, and what they share is counted half in the memory of the next one's.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	started := make(chan error)
	go func() {
		// The child is killed when the thread ends that started it, so this one is kept.
		runtime.LockOSThread()
		var set unix.CPUSet
		set.Set(core)
		err := unix.SchedSetaffinity(0, &set)
		if err == nil {
			err = p.cmd.Start()
		}
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
		}
		close(p.ended)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	return p, nil
}

// stop ends the process, in peace if it may, and waits for that.
func (p *process) stop() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(3 * time.Second):
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // its group, which has nobody else
		<-p.ended
	}
}

// pids are the process and its descendants.
func (p *process) pids() []int {
	parents := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		_, rest, _ := strings.Cut(string(b[bytes.LastIndexByte(b, ')')+1:]), " ")
		if fields := strings.Fields(rest); len(fields) > 1 {
			parent, _ := strconv.Atoi(fields[1])
			parents[parent] = append(parents[parent], pid)
		}
	}
	all := []int{p.cmd.Process.Pid}
	for i := 0; i < len(all); i++ {
		all = append(all, parents[all[i]]...)
	}
	return all
}

// cpu is the time that processes have used, in user and in kernel mode: the sum that /proc/PID/stat has, in nanoseconds
// where that has hundredths of a second.
func cpu(pids []int) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range pids {
		var t unix.Timespec
		const scheduled = 2 // CPUCLOCK_SCHED of the whole process, as clock_getcpuclockid(3) makes it
		if err := unix.ClockGettime(int32(^pid)<<3|scheduled, &t); err != nil {
			return 0, fmt.Errorf("the CPU time of process %d: %w", pid, err)
		}
		sum += time.Duration(t.Nano())
	}
	return sum, nil
}

// memory sums a field of a file below /proc/PID that is in kB, in bytes.
func memory(pids []int, file, field string) (sum float64, err error) {
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		if err != nil {
			return 0, err
		}
		_, rest, found := strings.Cut(string(b), "\n"+field+":")
		var kB float64
		if _, err := fmt.Sscan(rest, &kB); err != nil || !found {
			return 0, fmt.Errorf("%s of process %d has no %s: %w", file, pid, field, err)
		}
		sum += kB * 1024
	}
	return sum, nil
}

// pss is the memory of processes, what is shared divided among those who share it.
func pss(pids []int) (float64, error) { return memory(pids, "smaps_rollup", "Pss") }

// forgetPeak makes VmHWM what VmRSS is now.
func forgetPeak(pids []int) error {
	for _, pid := range pids {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
			return err
		}
	}
	return nil
}

// run runs a program to its end and returns what it printed.
func commandOutput(environ []string, program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), environ...)
	var said bytes.Buffer
	cmd.Stderr = io.MultiWriter(&said)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, said.Bytes())
	}
	return string(out), nil
}
