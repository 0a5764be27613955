package grantadmin

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"

	"evergate/internal/envelope"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

// An archive is text: a first line that names its form, a line for each grant with the shop's domain and the record as envelope
// encrypts it, and a last line with the number of grants and a digest of all that is before it. So a reader notices what
// is missing, and nobody reads a grant without the key.
const (
	archiveHead = "evergate-archive 1"
	archiveEnd  = "end"
)

// Outcome is what became of one grant that was carried into a store.
type Outcome string

// The outcomes.
const (
	Carried   Outcome = "carried"   // it is there now, and was read back
	Same      Outcome = "same"      // it was there already
	Kept      Outcome = "kept"      // what is there is newer in the same chain
	Different Outcome = "different" // what is there is of another chain, and was left alone
	Failed    Outcome = "failed"
)

// Report is told of each grant as it is dealt with; err says why one failed.
type Report func(domain string, o Outcome, err error)

// Export writes every grant of a store into an archive. It fails at the first one that cannot be read, because whoever restores
// the archive would miss it; what has been written has no end then, and is refused as an archive. The number is of those that were written.
func Export(ctx context.Context, from token.Backend, keys envelope.Keys, w io.Writer) (n int, _ error) {
	if keys.Current.Empty() {
		return 0, remedy.New("set EVERGATE_STORE_KEY, and keep it apart from the archive: openssl rand -base64 32", "an archive is always encrypted, and there is no key")
	}
	digest := sha256.New()
	out := bufio.NewWriter(io.MultiWriter(w, digest))
	fmt.Fprintln(out, archiveHead)
	for listed, err := range from.All(ctx) {
		if err != nil {
			return n, fmt.Errorf("%s cannot be exported: %w", orThePlace(listed.Domain), err)
		}
		if listed.Record.IsNothing() {
			continue
		}
		shop, err := token.ParseShop(listed.Domain)
		if err != nil {
			return n, err
		}
		line, err := envelope.Codec{Shop: shop, Keys: keys}.Encode(listed.Record)
		if err != nil {
			return n, err
		}
		fmt.Fprintf(out, "%s %s", shop.Domain(), line)
		n++
	}
	if err := out.Flush(); err != nil {
		return n, err
	}
	_, err := fmt.Fprintf(w, "%s %d %s\n", archiveEnd, n, hex.EncodeToString(digest.Sum(nil)))
	return n, err
}

func orThePlace(domain string) string {
	if domain == "" {
		return "the store"
	}
	return domain
}

// errArchive says that what was read is no whole archive. What was carried before that stays, and doing it again does no harm.
var errArchive = errors.New("this is no whole archive of `evergate store export`")

// Import carries the grants of an archive into a store; see Carrier. The digest comes last: what is missing at the end is
// reported when all before it has been carried.
func Import(ctx context.Context, r io.Reader, keys envelope.Keys, to *Carrier) error {
	in := archiveReader{in: bufio.NewReaderSize(r, 2*envelope.MaxSize), digest: sha256.New()}
	head, err := in.line()
	if ctx.Err() != nil { // which may have ended the reading
		return context.Cause(ctx)
	}
	if err != nil || head != archiveHead {
		return fmt.Errorf("%w: it does not begin with %q", errArchive, archiveHead)
	}
	for n := 0; ; n++ {
		before := in.digest.Sum(nil)
		line, err := in.line()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("%w: it is cut short after %d grants", errArchive, n)
		}
		name, rest, _ := strings.Cut(line, " ")
		if name == archiveEnd {
			if rest != strconv.Itoa(n)+" "+hex.EncodeToString(before) {
				return fmt.Errorf("%w: its last line does not fit what is before it", errArchive)
			}
			return nil
		}
		shop, err := token.ParseShop(name)
		if err != nil || shop.Domain() != name {
			return fmt.Errorf("%w: line %d names no shop", errArchive, n+2)
		}
		record, err := envelope.Codec{Shop: shop, Keys: keys}.Decode([]byte(rest))
		if err != nil {
			to.Report(name, Failed, err)
			continue
		}
		if err := to.carry(ctx, record); err != nil {
			return err
		}
	}
}

// archiveReader reads lines and keeps a digest of all that it has read.
type archiveReader struct {
	in     *bufio.Reader
	digest hash.Hash
}

// line returns the next line; the longest is that of the largest record.
func (a *archiveReader) line() (string, error) {
	line, err := a.in.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	_, _ = a.digest.Write(line) // a hash takes everything
	return string(line[:len(line)-1]), nil
}

// Copy carries every grant of one store into another; see Carrier. An error ends it: the first store cannot be read, or the other one is away.
func Copy(ctx context.Context, from token.Backend, to *Carrier) error {
	for listed, err := range from.All(ctx) {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case listed.Domain == "":
			return fmt.Errorf("the store cannot be read: %w", err)
		case err != nil:
			to.Report(listed.Domain, Failed, err)
			continue
		}
		if err := to.carry(ctx, listed.Record); err != nil {
			return err
		}
	}
	return nil
}

// Carrier puts grants into a store, each under its lease, and reads it back. What is there is left alone if it is newer in the same chain,
// and, unless Overwrite is set, if it is of another one: which of two chains Shopify honours, only it knows.
type Carrier struct {
	To        token.Backend
	Overwrite bool
	Report    Report

	misses int // in a row
}

// mostMisses is how many grants in a row a store may fail to take for a moment's reasons. Each waits for as long as the store's patience
// is, and there may be fifty thousand.
const mostMisses = 3

// carry carries one grant. An error says that there is no use in going on with others; it has not been reported if ctx has ended.
func (c *Carrier) carry(ctx context.Context, r token.Record) error {
	if r.IsNothing() {
		return nil
	}
	o, err := carry(ctx, r, c.To, c.Overwrite)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		o = Failed
	}
	c.Report(r.Shop, o, err)
	if !errors.Is(err, token.ErrTransient) {
		c.misses = 0
		return nil
	}
	if c.misses++; c.misses < mostMisses {
		return nil
	}
	_, do := remedy.Split(err)
	return remedy.New(cmp.Or(do, "see to it")+"; then run the same command again", "the store that grants are carried into has failed %d times in a row", c.misses)
}

func carry(ctx context.Context, r token.Record, to token.Backend, overwrite bool) (Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, replaceWait)
	defer cancel()
	shop, err := token.ParseShop(r.Shop)
	if err != nil {
		return Failed, err
	}
	s, err := to.Shop(shop)
	if err != nil {
		return Failed, err
	}
	release, err := s.Lease(ctx)
	if err != nil {
		return Failed, err
	}
	defer release()
	there, handle, err := s.Load(ctx)
	if err != nil && !errors.Is(err, token.ErrNotFound) {
		return Failed, err
	}
	if !there.IsBlank() {
		switch {
		case sameGrant(there, r):
			return Same, nil
		case there.Epoch != "" && there.Epoch == r.Epoch && there.Generation >= r.Generation:
			return Kept, nil
		case there.Epoch == r.Epoch && there.Epoch != "":
		case !overwrite:
			return Different, nil
		}
	}
	if _, err := s.Swap(ctx, handle, r); err != nil {
		return Failed, err
	}
	back, _, err := s.Load(ctx)
	if err == nil && !sameGrant(back, r) {
		err = errors.New("what was read back is not what was written")
	}
	return Carried, err
}

// sameGrant compares what matters of two records.
func sameGrant(a, b token.Record) bool {
	return a.Current.Refresh.Equal(b.Current.Refresh) && a.Current.Token.Access.Equal(b.Current.Token.Access)
}
