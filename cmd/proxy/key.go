package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"evergate/internal/access"
	"evergate/internal/caller"
	"evergate/internal/config"
	"evergate/internal/durable"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

func keyCommands() []command {
	return []command{
		{name: "list", args: "[--json]", summary: "list the keys that there are, and what each may do", new: keyList,
			examples: []string{"evergate key list --file /etc/evergate/keys"}},
		{name: "revoke", args: "NAME [--digest HEX]", summary: "end the keys of a name; a sidecar that runs refuses them within seconds", new: keyRevoke,
			examples: []string{"evergate key revoke agent", "evergate key revoke agent --digest 552f731e"}},
	}
}

// keyCommand makes a key for a client. The key goes to standard output and nowhere else, so
// that a shell can catch it; the line that has Evergate know it goes to the file of keys.
func keyCommand() action {
	var name, policy, shopNames, file string
	return action{
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&policy, "policy", "", "the `policy`, what the caller may do: full, read-only, none or one of EVERGATE_POLICY_FILE; without it, what holds for its name")
			fs.StringVar(&shopNames, "shops", "", "the `shops` it may call, comma separated; without it all")
			fs.StringVar(&file, "file", "", "the `file` to append the line to; - shows it on standard error (default $EVERGATE_CLIENT_KEYS_FILE, else -)")
		},
		arg: &name,
		run: func(w env) error {
			file := keysFile(w, file)
			if name == "" {
				return configError(errors.New("key needs the name of the caller: evergate key NAME"))
			}
			who, err := accessOf(w.environ)
			if err != nil {
				return err
			}
			holds, by, err := who.PolicyOf(name, policy)
			if err != nil {
				return configError(err)
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
			} else if err := w.addKey(file, line); err != nil {
				return notWritten(file, err)
			}
			fmt.Fprintln(w.out, key.Reveal())
			fmt.Fprintln(w.err, mayDo(name, holds, by))
			return nil
		},
	}
}

// notWritten says why there is no key.
func notWritten(file string, err error) error {
	dir := filepath.Dir(file)
	if _, missing := os.Stat(dir); errors.Is(missing, fs.ErrNotExist) {
		return remedy.New("make it: install -d -m 755 "+single(dir), "no key was made, because there is no directory %s for the file of keys", dir)
	}
	if errors.Is(err, fs.ErrPermission) {
		return remedy.New("run it as the user that owns the file and its directory, or name another one with --file", "no key was made, because %s cannot be written: %w", file, err)
	}
	return fmt.Errorf("no key was made, because %s cannot be written: %w", file, err)
}

// accessOf is what this environment says of policies. Whoever makes a key needs no shop, and the keys may not be there yet.
func accessOf(environ []string) (*access.Access, error) {
	cfg, err := config.Parse(environ)
	if err != nil {
		return nil, configError(err)
	}
	who, err := access.New(access.Options{Policy: cfg.Policy, PolicyFile: cfg.PolicyFile})
	if err != nil {
		return nil, configError(err)
	}
	return who, nil
}

func mayDo(name, policy, by string) string {
	if by == "" {
		return fmt.Sprintf("%s is held to the policy %s.", name, policy)
	}
	return fmt.Sprintf("%s has no policy of its own, so %s says what it may do: %s.", name, by, policy)
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

// addKey adds a line to the file of keys. Whoever ends keys meanwhile writes the file anew, hence the lock.
func (w env) addKey(path, line string) error {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	ctx, stop := w.untilSignal()
	defer stop()
	unlock, err := durable.LockWritten(ctx, path)
	if err != nil {
		return err
	}
	defer unlock()
	return appendLine(path, line)
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
