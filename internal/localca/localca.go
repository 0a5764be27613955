// Package localca is a certificate authority for this machine's own clients: it signs for the shops and
// for the loopback, so that a tool can call by https what it would call at Shopify.
//
// Invariants:
//
//   - Nothing is read or made before it is needed.
//   - The key of a root is never written: it signs one issuer and is forgotten. The issuer's
//     key rests in one file, which nobody else can read, and is on no answer, in no log and in no error.
//   - An issuer is constrained to the names of Shopify's shops and of this machine. The
//     constraints are in the issuer, because Java ignores those of a root, and they name addresses,
//     because without any every address would be free.
//   - Processes that share a directory have one authority: it is made under a lock and
//     written whole, and which of several signs follows from the time alone.
//   - A successor is made long before an authority ends and handed out beside it; it signs only when the
//     end is near.
package localca

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"evergate/internal/remedy"
)

const day = 24 * time.Hour

// When things happen. docs/adr/0017-an-authority-that-can-do-little.md has the reasons.
const (
	life       = 5 * 365 * day // of an authority
	successor  = 180 * day     // before its end, when the next one is made
	handover   = 2 * day       // before its end, when the next one begins to sign
	slack      = day           // by which the clocks of clients may be behind
	lookAgain  = time.Minute   // another process may have changed the directory
	warnAgain  = 7 * day
	lockWait   = 10 * time.Second
	memorySpec = "memory:"
)

// Authority makes certificates. Its methods are safe for concurrent use.
type Authority struct {
	place func() (dir string, err error)
	log   *slog.Logger
	ends  atomic.Int64 // of the first of all, in seconds since 1970; 0: none has been used

	mu     sync.Mutex
	folder *folder // nil: memory, or not looked yet
	placed bool
	all    []*generation // that have not ended, by their end
	looked time.Time
	warned time.Time
}

// Open returns the authority that rests where place says, which is asked when it is first needed: a
// directory, or "memory:" for one that ends with the process. It touches nothing.
func Open(place func() (dir string, err error)) *Authority {
	return &Authority{place: place, log: slog.New(slog.DiscardHandler)}
}

// WarnTo says where warnings go, and what else an operator may look for; nowhere without it. It is for before the first use.
func (a *Authority) WarnTo(log *slog.Logger) { a.log = log }

// Roots are the roots to trust, in PEM form: one, and its successor beside it when the end is near. It
// makes an authority if there is none.
func (a *Authority) Roots() ([]byte, error) {
	roots, err := a.RootCertificates()
	if err != nil {
		return nil, err
	}
	var text []byte
	for _, root := range roots {
		text = append(text, PEM(root)...)
	}
	return text, nil
}

// PEM is a certificate in PEM form.
func PEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: typeCertificate, Bytes: c.Raw})
}

// RootCertificates are Roots, parsed.
func (a *Authority) RootCertificates() ([]*x509.Certificate, error) {
	all, err := a.generations()
	if err != nil {
		return nil, err
	}
	var roots []*x509.Certificate
	for _, g := range all {
		roots = append(roots, g.root)
	}
	return roots, nil
}

// Ends is when the one ends that clients have to trust now; false: this process has not used any. It looks at nothing and waits
// for nobody.
func (a *Authority) Ends() (time.Time, bool) {
	at := a.ends.Load()
	return time.Unix(at, 0), at != 0
}

// Status is how an authority stands.
type Status struct {
	// Place is its directory, or "memory:".
	Place string
	// Ends is when the one that signs ends, and SuccessorEnds when the next one does; zero: there is none.
	Ends, SuccessorEnds time.Time
}

// Near reports whether the end is so near that clients should trust the successor.
func (s Status) Near() bool { return !s.Ends.IsZero() && time.Until(s.Ends) < successor }

// Status looks and makes nothing.
func (a *Authority) Status() (Status, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.find(); err != nil {
		return Status{}, err
	}
	s, all := Status{Place: memorySpec}, a.all
	if a.folder != nil {
		s.Place = a.folder.dir.Path
		found, err := a.folder.read()
		if err != nil {
			return s, err
		}
		all = living(found)
	}
	if len(all) > 0 {
		s.Ends = all[0].ends()
	}
	if len(all) > 1 {
		s.SuccessorEnds = all[1].ends()
	}
	return s, nil
}

// Remove removes every authority from the directory, and the directory if nothing else is in it. The place is empty
// where there was nothing.
func (a *Authority) Remove() (place string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.find(); err != nil {
		return "", err
	}
	a.all = nil
	if a.folder == nil {
		return "", nil
	}
	return a.folder.remove()
}

// find settles where the authority rests.
func (a *Authority) find() error {
	if a.placed {
		return nil
	}
	dir, err := a.place()
	if err != nil {
		return err
	}
	if dir != memorySpec {
		if a.folder, err = newFolder(dir); err != nil {
			return err
		}
	}
	a.placed = true
	return nil
}

// generations are the authorities that have not ended, by their end; there is at least one.
func (a *Authority) generations() ([]*generation, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = living(a.all)
	if len(a.all) > 0 && time.Since(a.looked) < lookAgain {
		return a.all, nil
	}
	if err := a.find(); err != nil {
		return nil, err
	}
	all, err := a.renew()
	if len(all) == 0 {
		if err == nil {
			err = remedy.New("set the clock of this machine", "the local CA is not valid yet")
		}
		return nil, err
	}
	if err != nil {
		a.log.Warn("the local CA is used as it was", "err", err)
	}
	a.all, a.looked = keep(a.all, all), time.Now()
	a.ends.Store(a.all[0].ends().Unix())
	a.warn()
	return a.all, nil
}

// renew looks at what there is and makes what is missing. What can be used is returned with an error,
// too.
func (a *Authority) renew() ([]*generation, error) {
	if a.folder != nil {
		all, err := a.folder.renew()
		if err != nil && len(all) == 0 {
			all = a.all // what cannot be read any more was right when it was
		}
		return all, err
	}
	if !wanting(a.all) {
		return a.all, nil
	}
	g, err := newGeneration()
	if err != nil {
		return a.all, err
	}
	// A directory can be asked with evergate ca. This one is in no file, and what was fetched of it over the network has to be compared.
	a.log.Info("a local CA was made in memory", "name", g.root.Subject.CommonName, "ends", g.root.NotAfter.UTC().Format(time.DateOnly), "sha256", FingerprintText(g.root))
	return append(slices.Clone(a.all), g), nil
}

// wanting reports whether there is no authority, or none that will last.
func wanting(all []*generation) bool {
	return len(all) == 0 || time.Until(all[len(all)-1].ends()) < successor
}

// living are those that have not ended, by their end.
func living(all []*generation) []*generation {
	var left []*generation
	for _, g := range all {
		if time.Now().Before(g.ends()) {
			left = append(left, g)
		}
	}
	slices.SortStableFunc(left, func(a, b *generation) int { return a.ends().Compare(b.ends()) })
	return left
}

// keep returns next, with those that were known before as they were: leaves know theirs by its pointer.
func keep(known, next []*generation) []*generation {
	out := slices.Clone(next)
	for i, g := range out {
		for _, k := range known {
			if bytes.Equal(k.issuer.Raw, g.issuer.Raw) {
				out[i] = k
			}
		}
	}
	return out
}

// signer is which of the generations signs now.
func signer(all []*generation) *generation {
	for _, g := range all {
		if time.Until(g.ends()) > handover {
			return g
		}
	}
	return all[len(all)-1]
}

// warn says now and then that the end is near.
func (a *Authority) warn() {
	ends := a.all[0].ends()
	if time.Until(ends) >= successor || !a.warned.IsZero() && time.Since(a.warned) < warnAgain {
		return
	}
	a.warned = time.Now()
	a.log.Warn("the local CA ends, and its successor has been made: have clients trust it in time, with evergate ca install, or hand out evergate ca again",
		"ends", ends.UTC().Format(time.DateOnly))
}

// Fingerprint is the SHA-256 of a certificate.
func Fingerprint(c *x509.Certificate) [sha256.Size]byte { return sha256.Sum256(c.Raw) }

// FingerprintText is it as openssl x509 -fingerprint -sha256 writes it.
func FingerprintText(c *x509.Certificate) string {
	sum := Fingerprint(c)
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(pairs, ":")
}
