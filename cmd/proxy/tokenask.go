package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

var (
	errDeclined = errors.New("nothing was changed")
	errStopped  = errors.New("interrupted: nothing was changed")
)

// prompter asks whoever answers questions: on a terminal, or what a script pipes in.
type prompter struct {
	in      *bufio.Reader
	from    io.Reader // what in reads
	out     io.Writer
	signals <-chan os.Signal
}

func (w env) prompter() *prompter {
	w.await()
	return &prompter{in: bufio.NewReader(io.LimitReader(w.stdin, maxInput)), from: w.stdin, out: w.err, signals: w.signals}
}

// maxInput is far above any token.
const maxInput = 64 << 10

// line asks and reads one line; it is empty when there is none. A signal ends the wait.
func (p *prompter) line(question string) (string, error) {
	fmt.Fprint(p.out, question)
	return p.read(func() (string, error) { return p.in.ReadString('\n') })
}

// secret is line for what the terminal must not show. It is hidden before the question is there, because whoever pastes
// an answer does so as soon as it is.
func (p *prompter) secret(question string) (string, error) {
	f, ok := p.from.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return p.line(question)
	}
	before, err := term.GetState(int(f.Fd()))
	if err == nil {
		err = hideTyping(f)
	}
	if err != nil {
		return "", fmt.Errorf("the terminal cannot be made to hide what is typed: %w", err)
	}
	defer func() { _ = term.Restore(int(f.Fd()), before) }() // whoever reads it goes on, and would have it hidden for the shell, too
	fmt.Fprint(p.out, question)
	text, err := p.read(func() (string, error) {
		typed, err := term.ReadPassword(int(f.Fd()))
		return string(typed), err
	})
	if !errors.Is(err, errStopped) {
		fmt.Fprintln(p.out) // for the Enter that was not shown
	}
	return text, err
}

func (p *prompter) read(ask func() (string, error)) (string, error) {
	type read struct {
		text string
		err  error
	}
	done := make(chan read, 1) // nobody may be left to take it
	go func() {
		text, err := ask()
		done <- read{strings.TrimSpace(text), err}
	}()
	select {
	case r := <-done:
		if r.err != nil && !errors.Is(r.err, io.EOF) {
			return "", fmt.Errorf("standard input cannot be read: %w", r.err)
		}
		return r.text, nil
	case <-p.signals:
		fmt.Fprintln(p.out)
		return "", errStopped
	}
}

// confirm explains and asks; assumed is what --yes says. Only a clear yes goes on.
func (p *prompter) confirm(assumed bool, explanation, question string) error {
	if assumed {
		return nil
	}
	answer, err := p.line(explanation + "\n\n" + question + " [y/N] ")
	if err != nil {
		return err
	}
	switch strings.ToLower(answer) {
	case "y", "yes":
		return nil
	case "":
		fmt.Fprintln(p.out)
	}
	return fmt.Errorf("not confirmed, so %w; --yes goes on without asking", errDeclined)
}

// finish does what must not be cut short. After a first signal it says what it waits for;
// a second one ends the wait.
func (w env) finish(what string, work func() error) error {
	w.await()
	done := make(chan error, 1)
	go func() { done <- work() }()
	select {
	case err := <-done:
		return err
	case <-w.signals:
		fmt.Fprintf(w.err, "evergate: waiting for the end of %s; interrupt again to end at once\n", what)
	}
	select {
	case err := <-done:
		return err
	case <-w.signals:
		return fmt.Errorf("interrupted in the middle of %s: run the same command again", what)
	}
}
