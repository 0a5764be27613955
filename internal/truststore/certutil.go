package truststore

import (
	"context"
	"crypto/x509"
	"regexp"
	"strings"
)

// windowsStore is the roots of the user that runs us. Windows asks that person itself.
type windowsStore struct{ machine *Machine }

// Name implements Store.
func (windowsStore) Name() string { return "this user's root certificates" }

// Install implements Store.
func (w windowsStore) Install(ctx context.Context, roots []*x509.Certificate) error {
	for _, c := range roots {
		err := inFile(c, func(path string) error {
			_, err := w.machine.Run(ctx, nil, "certutil", "-user", "-f", "-addstore", "Root", path)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Uninstall implements Store.
func (w windowsStore) Uninstall(ctx context.Context, prefix string) ([]string, error) {
	list, err := w.machine.Run(ctx, nil, "certutil", "-user", "-store", "Root")
	if err != nil {
		return nil, err
	}
	// The words of the list are those of the system's language.
	hash := regexp.MustCompile(`\(sha1\): *([0-9a-fA-F ]+)`)
	common := regexp.MustCompile(`CN=(` + regexp.QuoteMeta(prefix) + `[^,\r\n]*)`)
	var removed []string
	for entry := range strings.SplitSeq(string(list), "================") {
		name, id := common.FindStringSubmatch(entry), hash.FindStringSubmatch(entry)
		if name == nil || id == nil {
			continue
		}
		if _, err := w.machine.Run(ctx, nil, "certutil", "-user", "-delstore", "Root", strings.ReplaceAll(id[1], " ", "")); err != nil {
			return removed, err
		}
		removed = append(removed, strings.TrimSpace(name[1]))
	}
	return removed, nil
}
