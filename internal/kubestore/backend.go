// Package kubestore keeps grants in Secrets of Kubernetes, one for each shop, by the API server's REST interface.
//
// Invariants:
//
//   - A record is replaced by compare-and-swap on the Secret's resourceVersion. A write whose answer was lost is known again:
//     whoever tries it again from the same state meets no conflict with itself.
//   - The right to refresh is a Lease object beside the Secret. Whoever holds it counts from before the request was sent;
//     others take it over only after they have seen it unchanged for its whole duration, on their own clocks.
//   - What is stored is always encrypted, and nothing that the API server says is repeated in an error.
//   - Nothing is asked before the first call, and one watch serves all shops.
package kubestore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"evergate/internal/envelope"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

// pageSize is how many Secrets one answer to a list holds: less than a mebibyte of records of the usual size.
const pageSize = 250

// Options opens a place for grants.
type Options struct {
	// Rest is what follows "kubernetes:" in EVERGATE_STORE.
	Rest string
	// Keys encrypt; one is needed.
	Keys envelope.Keys
	// Getenv says where the API server is.
	Getenv func(string) string
}

// backend is a namespace with a Secret for each shop.
type backend struct {
	client    *client
	namespace string
	keys      envelope.Keys
}

// Open returns the place that o names. It asks nobody yet.
func Open(o Options) (token.Backend, error) {
	p, err := parsePlace(o.Rest)
	if err != nil {
		return nil, err
	}
	if err := o.Keys.Validate(); err != nil {
		return nil, err
	}
	if o.Keys.Current.Empty() {
		return nil, remedy.New("set EVERGATE_STORE_KEY; make one with: openssl rand -base64 32", "a grant in a Secret is encrypted by Evergate itself, and there is no key")
	}
	server, err := serverOf(o.Getenv)
	if err != nil {
		return nil, err
	}
	if p.namespace == "" {
		if p.namespace, err = p.account.namespace(); err != nil {
			return nil, err
		}
	}
	return &backend{client: newClient(server, p.account), namespace: p.namespace, keys: o.Keys}, nil
}

// Place says which namespace of which cluster it is.
func (b *backend) Place() string { return "kubernetes:" + b.namespace + "@" + b.client.server }

// Shop implements token.Backend.
func (b *backend) Shop(shop token.Shop) (token.Store, error) {
	if shop.IsZero() {
		return nil, errors.New("no shop is named whose record is to be opened")
	}
	return &shopStore{backend: b, name: nameOf(shop), codec: envelope.Codec{Shop: shop, Keys: b.keys}, turn: make(chan struct{}, 1)}, nil
}

// All implements token.Backend.
func (b *backend) All(ctx context.Context) iter.Seq2[token.Listed, error] {
	return func(yield func(token.Listed, error) bool) {
		for next := ""; ; {
			var page secretList
			err := b.client.do(ctx, call{method: http.MethodGet, path: b.secrets(""), query: listQuery(next, pageSize)}, &page)
			if again := resume(err); again != "" && again != next {
				// The place in the list had grown too old. What follows in the order of names is still listed, each once.
				next = again
				continue
			}
			if err != nil {
				yield(token.Listed{}, fmt.Errorf("the Secrets of the namespace %s cannot be listed: %w", b.namespace, err))
				return
			}
			for _, s := range page.Items {
				shop, known := shopOf(s.Metadata)
				if !known {
					continue // it has our label, but it is not ours
				}
				listed := token.Listed{Domain: shop.Domain(), Handle: s.Metadata.handle()}
				listed.Record, err = b.decode(envelope.Codec{Shop: shop, Keys: b.keys}, s)
				if !yield(listed, err) {
					return
				}
			}
			if next = page.Metadata.Continue; next == "" {
				return
			}
		}
	}
}

// Close implements token.Backend.
func (b *backend) Close() { b.client.close() }

// decode opens the record in a Secret.
func (b *backend) decode(codec envelope.Codec, s secret) (token.Record, error) {
	content := s.Data[recordKey]
	if envelope.IsPlain(content) {
		return token.Record{}, fmt.Errorf("the Secret %s: %w", b.called(s.Metadata.Name), errPlain)
	}
	record, err := codec.Decode(content)
	if err != nil {
		return token.Record{}, fmt.Errorf("the Secret %s: %w", b.called(s.Metadata.Name), err)
	}
	return record, nil
}

// errPlain is an ErrUnreadable: here nothing is ever written without a key, so somebody else has.
var errPlain = remedy.New("delete the Secret and log in again", "%w: it is in plain text, which Evergate does not write here", envelope.ErrUnreadable)

func (b *backend) called(name string) string { return b.namespace + "/" + name }

// secrets is the path of all Secrets, or of one.
func (b *backend) secrets(name string) string {
	return "/api/v1/namespaces/" + b.namespace + "/secrets" + below(name)
}

// leases is the path of all Leases, or of one.
func (b *backend) leases(name string) string {
	return "/apis/coordination.k8s.io/v1/namespaces/" + b.namespace + "/leases" + below(name)
}

func below(name string) string {
	if name == "" {
		return ""
	}
	return "/" + name
}

func listQuery(next string, limit int) url.Values {
	q := url.Values{"labelSelector": {selector}, "limit": {strconv.Itoa(limit)}}
	if next != "" {
		q.Set("continue", next)
	}
	return q
}
