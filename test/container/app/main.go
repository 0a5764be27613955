// Command app stands for the program beside Evergate in a pod: it calls products.json as often as it is told to and
// knows nothing of tokens. It exits 0 when every call was answered with products.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, out, errw io.Writer) int {
	flags := flag.NewFlagSet("app", flag.ContinueOnError)
	flags.SetOutput(errw)
	url := flags.String("url", "", "what to call")
	calls := flags.Int("calls", 1, "how often")
	every := flags.Duration("every", time.Second, "from the start of one call to the start of the next")
	show := flags.Bool("print", false, "print what the first call answers, whatever it is, and end")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *show {
		body, err := get(ctx, *url)
		fmt.Fprintf(out, "%s", body)
		return exit(errw, err)
	}
	return exit(errw, callOften(ctx, out, *url, *calls, *every))
}

func exit(errw io.Writer, err error) int {
	if err != nil {
		fmt.Fprintln(errw, err)
		return 1
	}
	return 0
}

// callOften does not stop at the first failure: which calls fail, and which do not, tells what went wrong.
func callOften(ctx context.Context, out io.Writer, url string, calls int, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	failed := 0
	for call := range calls {
		began := time.Now()
		products, err := countProducts(ctx, url)
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

func countProducts(ctx context.Context, url string) (int, error) {
	body, err := get(ctx, url)
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

func get(ctx context.Context, url string) ([]byte, error) {
	client := http.Client{Timeout: 10 * time.Second}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.200s", resp.Status, body)
	}
	return body, err
}
