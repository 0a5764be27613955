package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"evergate/internal/brief"
	"evergate/internal/remedy"
	"evergate/internal/shopsim"
)

// simulation is what the flags of simulate say.
type simulation struct {
	listen, control, shop, id, secret, caFile string
	shops                                     string
	scopes, locations, report, fixtures       string
	plain, json, quiet, printEnv, strict      bool
	anyShop                                   bool
	products, variants, orders, customers     int
	life                                      time.Duration
}

func (m *simulation) flags(fs *flag.FlagSet) {
	fs.StringVar(&m.listen, "listen", "127.0.0.1:4443", "where the simulated Shopify listens")
	fs.StringVar(&m.control, "control", "", "where its control API listens; empty for none")
	fs.StringVar(&m.shop, "shop", shopsim.DefaultShop, "the shop")
	fs.StringVar(&m.shops, "shops", "", "more shops like it, comma separated")
	fs.BoolVar(&m.anyShop, "any-shop", false, "every other name below myshopify.com is a shop like it, too")
	fs.StringVar(&m.id, "client-id", shopsim.DefaultClientID, "the app's client id")
	fs.StringVar(&m.secret, "client-secret", shopsim.DefaultClientSecret, "the app's client secret")
	fs.StringVar(&m.caFile, "ca-file", "", "write the certificate to trust to this file")
	fs.BoolVar(&m.plain, "plain", false, "serve HTTP instead of HTTPS")
	fs.BoolVar(&m.json, "json", false, "say where it listens as one line of JSON")
	fs.BoolVar(&m.quiet, "quiet", false, "print no line for each request")
	fs.BoolVar(&m.printEnv, "print-env", false, "print what these flags mean for a program under test, for eval in a shell, and end")
	fs.StringVar(&m.fixtures, "fixtures", "", "a file, or a directory of files, with what the shop has and how to answer; read again at a SIGHUP")
	fs.StringVar(&m.report, "report", "", "write what the program under test did wrong to this file at the end, as JSON")
	fs.BoolVar(&m.strict, "strict", false, fmt.Sprintf("end with %d if it did anything wrong", exitFindings))
	fs.IntVar(&m.products, "products", 10, "how many products the shop has")
	fs.IntVar(&m.variants, "variants", 1, "how many variants each of them has")
	fs.IntVar(&m.orders, "orders", 0, "how many orders the shop has")
	fs.IntVar(&m.customers, "customers", 0, "how many people made them; one if not given")
	fs.StringVar(&m.locations, "locations", "", "the names of the places where stock is kept, comma separated")
	fs.StringVar(&m.scopes, "scopes", shopsim.AllScopes, "what the app may do, comma separated")
	fs.DurationVar(&m.life, "token-life", 0, "how long a token lives (Shopify's own life if not given)")
}

func (m *simulation) options() shopsim.Options {
	var shops []shopsim.Shop
	for _, name := range append([]string{m.shop}, names(m.shops)...) {
		shops = append(shops, shopsim.Shop{
			Domain: name, Products: m.products, Variants: m.variants, Orders: m.orders, Customers: m.customers, Locations: names(m.locations),
		})
	}
	return shopsim.Options{
		Shops: shops, AnyShop: m.anyShop,
		LocalhostShop: m.shop, // for clients that cannot send another Host
		Apps:          []shopsim.App{{ClientID: m.id, ClientSecret: m.secret, Scopes: m.scopes}},
		Settings:      shopsim.Settings{TokenLife: m.life},
	}
}

// simulate runs the simulator alone, for people who test other programs against it.
func simulate() action {
	var m simulation
	return action{
		flags: m.flags,
		run: steadily(func(w env) error {
			options := m.options()
			if err := errors.Join(options.Validate(), m.check()); err != nil {
				return configError(err)
			}
			if m.printEnv {
				return m.printExports(w.out)
			}
			if m.fixtures != "" {
				var err error
				if options.Fixtures, err = m.readFixtures(w); errors.Is(err, errStopped) {
					return err
				} else if err != nil {
					return configError(err)
				}
			}
			return m.serve(w, shopsim.New(options))
		}),
	}
}

// readFixtures reads them, unless a signal comes first: a pipe may say nothing for as long as it likes.
func (m *simulation) readFixtures(w env) (*shopsim.Fixtures, error) {
	type read struct {
		fixtures *shopsim.Fixtures
		err      error
	}
	done := make(chan read, 1) // nobody may be left to take it
	go func() {
		f, err := shopsim.ReadFixtures(m.fixtures)
		done <- read{f, err}
	}()
	select {
	case r := <-done:
		return r.fixtures, r.err
	case <-w.signals:
		return nil, errStopped
	}
}

// check refuses flags that make no sense together, and a report that could not be written when all is done.
func (m *simulation) check() error {
	if m.plain && m.caFile != "" {
		return errors.New("--ca-file makes no sense with --plain: drop one")
	}
	if info, err := os.Stat(m.report); m.report == "" || m.printEnv || err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return nil // a pipe may have no reader yet
	}
	f, err := os.OpenFile(m.report, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644) //nolint:gosec // G302: a report is for everybody
	if err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	return f.Close()
}

// serve listens, says so, and waits for a signal.
func (m *simulation) serve(w env, sim *shopsim.Sim) error {
	if !m.quiet {
		sim.OnAnswer(func(e shopsim.Entry) { fmt.Fprintln(w.err, requestLine(e)) })
	}
	start := sim.Start
	if m.plain {
		start = sim.StartPlain
	}
	server, err := start(m.listen)
	if err != nil {
		return taken(err, "--listen")
	}
	defer server.Close()
	if m.caFile != "" {
		if err := os.WriteFile(m.caFile, server.CAPEM, 0o644); err != nil {
			return err
		}
	}
	r := runningSim{simulation: m, url: reachable(server.URL), ca: string(server.CAPEM)}
	if m.control != "" {
		c, err := sim.StartControl(m.control)
		if err != nil {
			return taken(err, "--control")
		}
		defer c.Close()
		r.control = reachable(c.URL)
	}
	var more []os.Signal
	if m.fixtures != "" {
		more = append(more, syscall.SIGHUP)
	}
	w.await(more...)
	if err := r.announce(w.out); err != nil {
		return err
	}
	m.untilTheEnd(w, sim)
	return m.conclude(w.err, sim.Report())
}

// taken says what to do about an address that another program has.
func taken(err error, flag string) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return remedy.New("end that program, or choose another address with "+flag+": 127.0.0.1:0 takes a free port", "%w", err)
	}
	return err
}

// untilTheEnd waits for a signal to end, and reads the fixtures again at a SIGHUP.
func (m *simulation) untilTheEnd(w env, sim *shopsim.Sim) {
	for sig := range w.signals {
		if sig != syscall.SIGHUP || m.fixtures == "" {
			return
		}
		f, err := m.readFixtures(w)
		if errors.Is(err, errStopped) {
			return
		}
		if err != nil {
			fmt.Fprintln(w.err, "the fixtures stay as they were:", err)
			continue
		}
		sim.ApplyFixtures(f)
		fmt.Fprintln(w.err, "the fixtures have been read again")
	}
}

// exitFindings is the exit code of simulate --strict when the report is not empty.
const exitFindings = 3

// conclude says what the program under test did wrong.
func (m *simulation) conclude(out io.Writer, r shopsim.Report) error {
	if !m.quiet || len(r.Findings) > 0 {
		fmt.Fprintf(out, "%s, %s\n", counted(float64(r.Requests), "request"), counted(float64(len(r.Findings)), "finding"))
	}
	for _, f := range r.Findings {
		fmt.Fprintf(out, "\n%s (%d), first at %s by request %d, %s %s\n  The program %s.\n  Shopify %s.\n", f.Code, f.Count,
			f.First.Time.Format(time.TimeOnly), f.First.Request, f.First.Method, brief.Text(f.First.Address, longestURI), f.What, f.Shopify)
	}
	if m.report != "" {
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(m.report, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	if m.strict && len(r.Findings) > 0 {
		return &exitError{exitFindings, nil}
	}
	return nil
}

// names reads a list that is separated by commas.
func names(list string) []string {
	var out []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, name)
		}
	}
	return out
}
