// Command app stands for the program beside Evergate in a pod: it calls products.json as often as it is told to and
// knows nothing of tokens. It exits 0 when every call was answered with products.
//
// Told to end, by SIGTERM, it does what a program with work in hand does: it goes on calling, for --last calls more.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, out, errw io.Writer) int {
	flags := flag.NewFlagSet("app", flag.ContinueOnError)
	flags.SetOutput(errw)
	url := flags.String("url", "", "what to call")
	calls := flags.Int("calls", 1, "how often")
	every := flags.Duration("every", time.Second, "from the start of one call to the start of the next")
	host := flags.String("host", "", "the Host to name, if not the URL's")
	last := flags.Int("last", 0, "how often after SIGTERM, which without this ends the program")
	quit := flags.String("quit", "", "where to POST when everything is done")
	show := flags.Bool("print", false, "print what the first call answers, whatever it is, and end")
	post := flags.String("post", "", "with --print: make that call a POST of this JSON")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *show {
		body, err := ask(ctx, *url, *host, *post)
		fmt.Fprintf(out, "%s", body)
		return exit(errw, err)
	}
	count := func() (int, error) { return countProducts(ctx, *url, *host) }
	err := callOften(out, count, *calls, *last, *every)
	if *quit != "" {
		_, quitErr := ask(ctx, *quit, "", "{}")
		err = errors.Join(err, quitErr)
	}
	return exit(errw, err)
}

func exit(errw io.Writer, err error) int {
	if err != nil {
		fmt.Fprintln(errw, err)
		return 1
	}
	return 0
}

// callOften does not stop at the first failure: which calls fail, and which do not, tells what went wrong.
func callOften(out io.Writer, count func() (int, error), calls, last int, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	term := make(chan os.Signal, 1)
	if last > 0 {
		signal.Notify(term, syscall.SIGTERM)
	}
	failed := 0
	for call := 0; call < calls; call++ {
		select {
		case <-term:
			fmt.Fprintf(out, "SIGTERM: %d calls more\n", last)
			calls = call + last
		default:
		}
		began := time.Now()
		products, err := count()
		if err != nil {
			failed++
		}
		fmt.Fprintf(out, "call %d: %d products in %v, error: %v\n", call+1, products, time.Since(began), err)
		<-tick.C
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d calls failed", failed, calls)
	}
	return nil
}

func countProducts(ctx context.Context, url, host string) (int, error) {
	body, err := ask(ctx, url, host, "")
	if err != nil {
		return 0, err
	}
	var answer struct {
		Products []json.RawMessage `json:"products"`
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&answer); err != nil {
		return 0, fmt.Errorf("the answer is not JSON: %w", err)
	}
	if len(answer.Products) == 0 {
		return 0, fmt.Errorf("no products in the answer: %.200s", body)
	}
	return len(answer.Products), nil
}

// ask is a GET, or a POST of body if there is one.
func ask(ctx context.Context, url, host, body string) ([]byte, error) {
	client := http.Client{Timeout: 10 * time.Second}
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Host = host
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %.200s", resp.Status, answer)
	}
	return answer, err
}
