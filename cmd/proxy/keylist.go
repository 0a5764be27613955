package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"evergate/internal/caller"
	"evergate/internal/config"
	"evergate/internal/durable"
	"evergate/internal/readfile"
	"evergate/internal/remedy"
)

// digestShown is how many digits tell the keys of one name apart.
const digestShown = 8

// keyFlag declares the flag for the file of keys.
func keyFlag(fs *flag.FlagSet, file *string) {
	fs.StringVar(file, "file", "", "the `file` of keys (default $EVERGATE_CLIENT_KEYS_FILE)")
}

// keysFile is the file of keys that is named, by the flag or else by the environment; "" where neither names one.
func keysFile(w env, flagged string) string {
	if flagged != "" {
		return flagged
	}
	return config.Getenv(w.environ)("EVERGATE_CLIENT_KEYS_FILE")
}

// largestKeysFile bounds in bytes what is read, as the sidecar does.
const largestKeysFile = 1 << 20

// existingKeys is where that file lies, symlinks followed; there has to be one. What is none might never end.
func existingKeys(w env, flagged string) (path string, _ error) {
	file := keysFile(w, flagged)
	if file == "" {
		return "", configError(errors.New("which file? set EVERGATE_CLIENT_KEYS_FILE as for the sidecar, or give --file"))
	}
	path, err := filepath.EvalSymlinks(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", remedy.New("name another one, or make it with `evergate key NAME --file FILE`", "there is no file of keys %s", file)
	} else if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > largestKeysFile) {
		err = configError(remedy.New("name one that `evergate key NAME --file FILE` has made", "%s is no file of keys", path))
	}
	return path, err
}

// keyListed is a key as `key list --json` prints it.
type keyListed struct {
	Name   string   `json:"name"`
	Policy string   `json:"policy"`
	By     string   `json:"policy_by,omitempty"` // the setting that says so; empty: the key does
	Shops  []string `json:"shops,omitempty"`     // without it all
	Digest string   `json:"sha256"`
}

func keyList() action {
	var file string
	asJSON := false
	return action{
		flags: func(fs *flag.FlagSet) {
			keyFlag(fs, &file)
			fs.BoolVar(&asJSON, "json", false, "print an array of {name, policy, policy_by, shops, sha256}")
		},
		run: func(w env) error {
			path, err := existingKeys(w, file)
			if err != nil {
				return err
			}
			text, err := readfile.Read(path, largestRead)
			if err != nil {
				return err
			}
			lines, err := caller.ReadKeys(text)
			if err != nil {
				return configError(remedy.Prefix(path, err))
			}
			who, err := accessOf(w.environ)
			if err != nil {
				return err
			}
			keys := make([]keyListed, len(lines))
			for i, l := range lines {
				keys[i] = keyListed{Name: l.Name, Digest: l.Digest}
				if keys[i].Policy, keys[i].By, err = who.PolicyOf(l.Name, l.Policy); err != nil {
					keys[i].Policy = l.Policy + " (there is no such policy, so nothing)"
				}
				for _, s := range l.Shops {
					keys[i].Shops = append(keys[i].Shops, s.Handle())
				}
			}
			if asJSON {
				e := json.NewEncoder(w.out)
				e.SetIndent("", "  ")
				return e.Encode(keys)
			}
			return printKeys(w, keys)
		},
	}
}

func printKeys(w env, keys []keyListed) error {
	table := tabwriter.NewWriter(w.out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "NAME\tPOLICY\tSHOPS\tSHA256")
	for _, k := range keys {
		policy, shops := k.Policy, "all"
		if k.By != "" {
			policy += " (by " + k.By + ")"
		}
		if k.Shops != nil {
			shops = strings.Join(k.Shops, ", ")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s…\n", k.Name, policy, shops, k.Digest[:digestShown])
	}
	return table.Flush()
}

func keyRevoke() action {
	var name, file, digest string
	return action{
		flags: func(fs *flag.FlagSet) {
			keyFlag(fs, &file)
			fs.StringVar(&digest, "digest", "", "only the key whose SHA-256 begins with these `digits`, where a name has several")
		},
		arg: &name,
		run: func(w env) error {
			if name == "" {
				return configError(errors.New("key revoke needs the name of the caller: evergate key revoke NAME; `evergate key list` lists them"))
			}
			path, err := existingKeys(w, file)
			if err != nil {
				return err
			}
			ctx, stop := w.untilSignal()
			defer stop()
			// What another adds between the reading and the writing would be lost.
			unlock, err := durable.LockWritten(ctx, path)
			if err != nil {
				return fmt.Errorf("no key was ended: %w", err)
			}
			defer unlock()
			text, err := readfile.Read(path, largestRead)
			if err != nil {
				return err
			}
			rest, removed := caller.WithoutKeys(text, name, strings.TrimSuffix(digest, "…"))
			if removed == 0 {
				return configError(fmt.Errorf("%s has no such key of %s: `evergate key list` lists them", path, name))
			}
			if err := replaceKeys(path, rest); err != nil {
				return fmt.Errorf("no key was ended, because %s cannot be written: %w", path, err)
			}
			fmt.Fprintf(w.out, "Keys of %s ended in %s: %d. A sidecar that runs refuses them within seconds.\n", name, path, removed)
			return nil
		},
	}
}

// replaceKeys writes the file anew as a whole, for whoever may read it now.
func replaceKeys(path string, text []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := durable.WriteMode(path, ".keys-*.tmp", text, info.Mode().Perm()); err != nil {
		return err
	}
	return keepOwner(path, info)
}
