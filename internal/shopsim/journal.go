package shopsim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"slices"
	"time"
)

// Entry is one request as the simulator received it, credentials included.
type Entry struct {
	Seq        int // counts all requests since the start, from 1
	Time       time.Time
	Proto      string // "HTTP/2.0"
	Host       string
	Shop       string // the shop's domain, "" if the host is unknown
	Method     string
	Path       string // decoded
	RequestURI string // path and query as they were sent
	RawQuery   string
	Header     http.Header
	Body       []byte // at most Options.JournalBody bytes of it
	BodySize   int
	BodySHA256 string // of the whole body, in hex
	Token      string // X-Shopify-Access-Token
	Route      string // "token", "graphql", "rest:products", ...
	Grant      Grant  // that a token request asked for
	Fault      Kind   // the fault that it met
	Status     int    // of the answer; 0 if there was none (yet)
	Operation  string // of a GraphQL request: its name, or its first field in braces
	Cost       int    // of a GraphQL request: what was charged, or demanded in vain
	Throttled  bool   // refused for the rate limit, by either API
}

// OnAnswer has f called for each request once its answer is known and before it is sent, with the entry that the
// journal has of it, credentials included. f must not block.
func (s *Sim) OnAnswer(f func(Entry)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onAnswer = append(slices.Clone(s.onAnswer), f)
}

// journal is a ring of the latest requests.
type journal struct {
	ring    []*Entry
	next    int // where the next entry goes
	seq     int
	maxBody int
}

func newJournal(size, maxBody int) journal {
	return journal{ring: make([]*Entry, size), maxBody: maxBody}
}

func (j *journal) add(q *request) *Entry {
	j.seq++
	sum := sha256.Sum256(q.body)
	e := &Entry{
		Seq:        j.seq,
		Time:       q.now,
		Proto:      q.Proto,
		Host:       q.Host,
		Method:     q.Method,
		Path:       q.URL.Path,
		RequestURI: q.RequestURI,
		RawQuery:   q.URL.RawQuery,
		Header:     q.Header.Clone(),
		Body:       bytes.Clone(q.body[:min(len(q.body), j.maxBody)]),
		BodySize:   len(q.body),
		BodySHA256: hex.EncodeToString(sum[:]),
		Token:      q.Header.Get("X-Shopify-Access-Token"),
		Route:      q.route.name,
		Grant:      q.grant,
	}
	if q.shop != nil {
		e.Shop = q.shop.domain
	}
	j.ring[j.next] = e
	j.next = (j.next + 1) % len(j.ring)
	return e
}

// list returns copies, oldest first: the status of an entry is written later.
func (j *journal) list() []Entry {
	var out []Entry
	for i := range j.ring {
		if e := j.ring[(j.next+i)%len(j.ring)]; e != nil {
			out = append(out, *e)
		}
	}
	return out
}

// Journal returns the latest requests, oldest first.
func (s *Sim) Journal() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.journal.list()
}

// Stats are the counters since the start or the last Reset.
type Stats struct {
	Requests     int
	TokenPosts   int                    // POST requests to the token endpoint, answered in whatever way
	TokensMinted int                    // new tokens, by any way
	TokensAlive  int                    // that work now
	Grants       map[Grant]map[int]int  // grant -> status -> token requests; status 0: connection broken
	Routes       map[string]map[int]int // route -> status -> requests; status 0: connection broken

	// Of the refresh grant, counted when it took effect, whatever became of the answer:
	Refreshes     int // by a current refresh token
	Retries       int // by one that had been used before and was honoured
	DeadRefreshes int // refused because the refresh token was not honoured
	ChainsLost    int // chains with a refusal when nothing that was delivered would have been honoured
}

type stats struct {
	tokenPosts int
	minted     int
	grants     map[Grant]map[int]int
	routes     map[string]map[int]int
	refreshes  int
	retries    int
	dead       int
	chainsLost int
}

func newStats() stats {
	return stats{grants: map[Grant]map[int]int{}, routes: map[string]map[int]int{}}
}

func (st *stats) count(q *request, status int) {
	if q.isTokenPost() {
		st.tokenPosts++
		countStatus(st.grants, q.grant, status)
	}
	countStatus(st.routes, q.route.name, status)
}

func countStatus[K comparable](counts map[K]map[int]int, k K, status int) {
	if counts[k] == nil {
		counts[k] = map[int]int{}
	}
	counts[k][status]++
}

// Stats returns the counters.
func (s *Sim) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.state
	now := time.Now()
	n := st.stats
	out := Stats{TokenPosts: n.tokenPosts, TokensMinted: n.minted, Refreshes: n.refreshes, Retries: n.retries,
		DeadRefreshes: n.dead, ChainsLost: n.chainsLost, Grants: map[Grant]map[int]int{}, Routes: map[string]map[int]int{}}
	for _, t := range st.tokens {
		if t.alive(now) {
			out.TokensAlive++
		}
	}
	for grant, byStatus := range n.grants {
		out.Grants[grant] = maps.Clone(byStatus)
	}
	for name, byStatus := range n.routes {
		out.Routes[name] = maps.Clone(byStatus)
		for _, n := range byStatus {
			out.Requests += n
		}
	}
	return out
}
