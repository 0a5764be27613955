package pace

import (
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// rememberedCosts bounds the memory of costs: about 100 bytes each.
	rememberedCosts = 4096
	// costShards spread the locks that golang-lru takes: the memory is read and written by
	// every GraphQL request, for some fifty nanoseconds.
	costShards = 16
	// defaultCost is the cost of a document of which nothing at all is known.
	defaultCost = 10
)

// Common is what the Pacers of several shops may share. It is safe for concurrent use.
type Common struct {
	costs *costs
	// decoders read copies of answers; their tables are too large for each shop to have its own.
	decoders *decoders
}

// NewCommon returns what knows no document yet.
func NewCommon() *Common { return &Common{newCosts(), newDecoders()} }

// costs remembers what Shopify asked for a document before it ran: its requested cost, which is the same in every shop. It
// is safe for concurrent use.
type costs struct {
	shards  [costShards]*lru.Cache[uint64, int64]
	average atomic.Int64 // a moving average of what is asked
}

func newCosts() *costs {
	c := &costs{}
	for i := range c.shards {
		c.shards[i], _ = lru.New[uint64, int64](rememberedCosts / costShards) // it fails for a size of 0 only
	}
	return c
}

func (c *costs) shard(hash uint64) *lru.Cache[uint64, int64] { return c.shards[hash%costShards] }

// estimate returns what is known of d's cost, or else the average. A streamed body cannot be
// read, so its document is not known.
func (c *costs) estimate(d document) int64 {
	if d.known {
		for _, hash := range [...]uint64{d.whole, d.text} {
			if cost, ok := c.shard(hash).Get(hash); ok {
				return cost
			}
		}
	}
	if average := c.average.Load(); average > 0 {
		return average
	}
	return defaultCost
}

// remember is told what Shopify asked for d.
func (c *costs) remember(d document, requested int64) {
	average := c.average.Load()
	if average == 0 {
		average = requested
	}
	c.average.Store(average + (requested-average)/8) // a lost update of an average is none
	if !d.known {
		return
	}
	for _, hash := range [...]uint64{d.whole, d.text} {
		if known, ok := c.shard(hash).Peek(hash); !ok || known != requested {
			c.shard(hash).Add(hash, requested)
		}
	}
}
