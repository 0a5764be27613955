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

// Costs remembers what Shopify asked for a document before it ran: its requested cost, which is the same in every shop. It
// is safe for concurrent use.
type Costs struct {
	shards  [costShards]*lru.Cache[uint64, int64]
	average atomic.Int64 // a moving average of what is asked
}

// NewCosts returns an empty memory.
func NewCosts() *Costs {
	c := &Costs{}
	for i := range c.shards {
		c.shards[i], _ = lru.New[uint64, int64](rememberedCosts / costShards) // it fails for a size of 0 only
	}
	return c
}

func (c *Costs) shard(hash uint64) *lru.Cache[uint64, int64] { return c.shards[hash%costShards] }

// estimate returns what is known of d's cost, or else the average. A streamed body cannot be
// read, so its document is not known.
func (c *Costs) estimate(d document) int64 {
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
func (c *Costs) remember(d document, requested int64) {
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
