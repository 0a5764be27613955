package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

// The test binary, started with commandMark, is the command that `run` runs: these tests
// need no shell.
const commandMark = "as-a-command"

// commandLine is the command line of the test binary in one of the roles of command.
func commandLine(role ...string) []string {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return append([]string{self, commandMark}, role...)
}

// command plays a role and returns the exit code.
func command(role []string) int {
	switch role[0] {
	case "exit":
		code, _ := strconv.Atoi(role[1])
		return code
	case "die":
		number, _ := strconv.Atoi(role[1])
		if self, err := os.FindProcess(os.Getpid()); err == nil {
			_ = self.Signal(syscall.Signal(number))
		}
		select {} // the signal is on its way
	case "environ":
		for _, e := range os.Environ() {
			fmt.Println(e)
		}
	case "copy":
		_, _ = io.Copy(os.Stdout, os.Stdin)
	case "call":
		return callShop()
	case "await-signal":
		bound, cancel := context.WithTimeout(context.Background(), 2*patience) // whoever should signal may be gone
		defer cancel()
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
		fmt.Println("waiting")
		select {
		case sig := <-signals:
			fmt.Println("got", sig)
			return 42
		case <-bound.Done():
			return 1
		}
	}
	return 0
}

// callShop is a tool: it knows a URL and no token.
func callShop() int {
	resp, err := http.Get(os.Getenv("EVERGATE_URL") + api + "/shop.json")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer resp.Body.Close()
	_, _ = io.Copy(os.Stdout, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return 1
	}
	return 0
}
