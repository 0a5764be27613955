package shopsim

import (
	"net/http"
	"slices"
)

// Write is one change of a price or of a quantity, by whatever API.
type Write struct {
	Seq      int    `json:"seq"` // of the request in the journal
	Shop     string `json:"shop"`
	Resource string `json:"resource"` // the id that GraphQL knows what was changed by
	Field    string `json:"field"`    // "price" or "available"
	From     string `json:"from"`
	To       string `json:"to"`
}

// noteWrite keeps a change, of which there are as many as there are requests in the journal.
func (st *state) noteWrite(q *request, resource, field, from, to string) {
	if len(st.writes) == len(st.journal.ring) {
		st.writes = slices.Delete(st.writes, 0, max(1, len(st.writes)/2))
	}
	st.writes = append(st.writes, Write{Seq: q.entry.Seq, Shop: q.shop.domain, Resource: resource, Field: field, From: from, To: to})
}

// Writes returns the latest changes of prices and quantities, oldest first; also those that changed nothing,
// because what they wrote was there already.
func (s *Sim) Writes() []Write {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.state.writes)
}

func (s *Sim) controlWrites(w http.ResponseWriter, _ *http.Request) {
	writeControl(w, http.StatusOK, map[string]any{"writes": append([]Write{}, s.Writes()...)})
}
