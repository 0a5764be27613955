package truststore

import (
	"context"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"

	"evergate/internal/remedy"
)

// profiles are where programs have databases of NSS, below a person's directory.
var profiles = []string{ // a table, which nobody writes
	".pki/nssdb", // Chromium
	"snap/chromium/current/.pki/nssdb",
	".mozilla/firefox/*",
	".config/mozilla/firefox/*",
	"snap/firefox/common/.mozilla/firefox/*",
	".var/app/org.mozilla.firefox/.mozilla/firefox/*",
	"Library/Application Support/Firefox/Profiles/*",
}

// databases are those of NSS. The error says that there are some and nothing to change them with.
func (m *Machine) databases() (all []Store, err error) {
	if m.System == "windows" || m.Home == "" {
		return nil, nil
	}
	var dirs []string
	for _, pattern := range profiles {
		found, err := filepath.Glob(filepath.Join(m.Home, filepath.FromSlash(pattern), "cert9.db"))
		if err != nil {
			continue // a home with the signs of a pattern in its name
		}
		for _, path := range found {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				dirs = append(dirs, filepath.Dir(path))
			}
		}
	}
	if len(dirs) == 0 {
		return nil, nil
	}
	if _, err := m.Find("certutil"); err != nil {
		return nil, remedy.New("install certutil (libnss3-tools on Debian, nss-tools on Fedora, nss from Homebrew) and run this again; or import the certificate in the browser's settings",
			"browsers with their own roots are left as they are (%s)", strings.Join(dirs, ", "))
	}
	for _, dir := range dirs {
		all = append(all, database{m, dir})
	}
	return all, nil
}

// database is one of NSS.
type database struct {
	machine *Machine
	dir     string
}

// Name implements Store.
func (d database) Name() string { return "the browser's roots in " + d.dir }

// Install implements Store.
func (d database) Install(ctx context.Context, roots []*x509.Certificate) error {
	for _, c := range roots {
		err := inFile(c, func(path string) error {
			_, err := d.certutil(ctx, "-A", "-t", "C,,", "-n", c.Subject.CommonName, "-i", path)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Uninstall implements Store.
func (d database) Uninstall(ctx context.Context, prefix string) ([]string, error) {
	list, err := d.certutil(ctx, "-L")
	if err != nil {
		return nil, err
	}
	var removed []string
	for line := range strings.Lines(string(list)) {
		// A line is a name and, at its end, who is trusted for what.
		end := strings.LastIndexByte(strings.TrimSpace(line), ' ')
		if end < 0 || !strings.HasPrefix(line, prefix) {
			continue
		}
		name := strings.TrimSpace(line[:end])
		if _, err := d.certutil(ctx, "-D", "-n", name); err != nil {
			return removed, err
		}
		removed = append(removed, name)
	}
	return removed, nil
}

func (d database) certutil(ctx context.Context, args ...string) ([]byte, error) {
	return d.machine.Run(ctx, nil, "certutil", append([]string{"-d", "sql:" + d.dir}, args...)...)
}
