package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"evergate/internal/caller"
	"evergate/internal/config"
	"evergate/internal/token"
)

// keyCommand makes a key for a client. The key goes to standard output and nowhere else, so
// that a shell can catch it; the line that has Evergate know it goes to the file of keys.
func keyCommand() action {
	var name, policy, shopNames, file string
	return action{
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&policy, "policy", "", "what the caller may do: full, read-only, none or a policy of EVERGATE_POLICY_FILE; without it, what holds for its name")
			fs.StringVar(&shopNames, "shops", "", "the shops it may call, comma separated; without it all")
			fs.StringVar(&file, "file", "", "the file to append the line to; - shows it on standard error (default $EVERGATE_CLIENT_KEYS_FILE, else -)")
		},
		arg: &name,
		run: func(w env) error {
			if file == "" {
				file = config.Getenv(w.environ)("EVERGATE_CLIENT_KEYS_FILE")
			}
			if name == "" {
				return configError(errors.New("key needs the name of the caller: evergate key NAME"))
			}
			shops, err := shopList(shopNames)
			if err != nil {
				return configError(err)
			}
			key, line, err := caller.NewKey(name, policy, shops)
			if err != nil {
				return configError(err)
			}
			// The line first: a key that is shown must be known.
			if file == "" || file == "-" {
				fmt.Fprintf(w.err, "The line for the file that EVERGATE_CLIENT_KEYS_FILE names:\n%s\nThe key, which is shown this once:\n", line)
			} else if err := appendLine(file, line); err != nil {
				return fmt.Errorf("no key was made, because %s cannot be written: %w", file, err)
			}
			fmt.Fprintln(w.out, key.Reveal())
			return nil
		},
	}
}

func shopList(names string) (shops []token.Shop, _ error) {
	if names == "" {
		return nil, nil
	}
	var errs []error
	for name := range strings.SplitSeq(names, ",") {
		s, err := token.ParseShop(name)
		shops, errs = append(shops, s), append(errs, err)
	}
	return shops, errors.Join(errs...)
}

// appendLine adds a line in one write, so that a sidecar never reads half of it. A new file is
// for its owner alone.
func appendLine(path, line string) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if size, err := f.Seek(0, io.SeekEnd); err != nil {
		return err
	} else if size > 0 {
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, size-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			line = "\n" + line
		}
	}
	if _, err := io.WriteString(f, line+"\n"); err != nil {
		return err
	}
	return f.Sync()
}
