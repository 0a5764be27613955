package admin

import (
	"context"
	"net/http"
	"strings"
	"time"

	"evergate/internal/brief"
	"evergate/internal/denial"
	"evergate/internal/markup"
	"evergate/internal/refresh"
)

// Shops are those of a process with many. Its methods are safe for concurrent use.
type Shops interface {
	// Ready reports why the process cannot serve; nil: it can.
	Ready() error
	// Started reports whether it could once.
	Started() bool
	// Find returns the tokens of a shop, named by its handle or domain; nothing is known of it yet if nobody has called it. The error is a
	// denial.
	Find(ctx context.Context, name string) (Tokens, error)
	// List returns how it stands with the shops whose domains come after one and contain a text, in the order of domains, at most
	// that many, and whether there are more.
	List(after, search string, most int) (page []refresh.Status, more bool)
	// Count says how many there are.
	Count() ShopCount
}

// ShopCount is how many shops a process has.
type ShopCount struct {
	// Listed are those that the settings and the shops file name, Active those of which something is kept in memory.
	Listed int `json:"listed"`
	Active int `json:"active"`
	// Stored is how many grants the store had when it was last gone through; nil: it has not been yet, or there is none.
	Stored *int64 `json:"stored,omitempty"`
	// Failing are the active ones whose last attempt to obtain a token failed, NeedPerson those that somebody must authorise anew.
	Failing    int `json:"failing"`
	NeedPerson int `json:"need_person"`
	// NoToken are the other failing ones that have no usable token, so that their calls get 503.
	NoToken int `json:"no_token"`
}

// FleetReport is the JSON of /status of a process with many shops, where no shop is named: the process's own part of a Report, and a page
// of the shops.
type FleetReport struct {
	Report
	Fleet ShopCount   `json:"fleet"`
	Shops []ShopState `json:"shops"`
	// Next is what ?after= has to be for the next page; empty: this is the last.
	Next string `json:"next,omitempty"`
}

// ShopState is one shop of a FleetReport.
type ShopState struct {
	Shop        string    `json:"shop"`
	Grant       string    `json:"grant,omitempty"` // empty: nobody has called it yet
	State       string    `json:"state"`           // as in a Report, or idle
	Usable      bool      `json:"usable"`
	TokenLeft   *int64    `json:"token_left_seconds,omitempty"`
	Reauthorize bool      `json:"reauthorization_required,omitempty"`
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
}

// Idle is the state of a shop of which nothing is kept, because nobody has called it lately.
const Idle = "idle"

const (
	// shopsPerPage bounds a page of shops.
	shopsPerPage = 100
	// longestShopError bounds in bytes what is said of each. Encodings make up to six times as much of it, so a page stays below 256 KiB.
	longestShopError = 200
)

// shopOf returns whose tokens a call is about; nil: it is about all shops of a process with many.
func (h *handler) shopOf(r *http.Request) (Tokens, error) {
	query := r.URL.Query()
	name, named := query.Get("shop"), query.Has("shop")
	switch {
	case h.Shops != nil && !named:
		return nil, nil //nolint:nilnil // as above
	case h.Shops != nil:
		return h.Shops.Find(r.Context(), name)
	case !named || strings.EqualFold(name, h.Tokens.Status().Shop) || strings.EqualFold(name+".myshopify.com", h.Tokens.Status().Shop):
		return h.Tokens, nil
	}
	return nil, denial.New(http.StatusNotFound, denial.CodeUnknownShop, "The shop "+denial.Quote(name)+" is not served here. The one that is: "+h.Tokens.Status().Shop+".")
}

// forShop calls next with whose tokens a call is about, or answers that there is no such shop.
func (h *handler) forShop(next func(http.ResponseWriter, *http.Request, Tokens)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t, err := h.shopOf(r)
		if err != nil {
			denial.Of(err).Answer(w)
			return
		}
		next(w, r, t)
	}
}

// fleetReport is of all shops.
func (h *handler) fleetReport(f facts, after, search string) FleetReport {
	page, more := h.Shops.List(after, search, shopsPerPage)
	r := FleetReport{Report: h.report(f), Fleet: *f.fleet, Shops: []ShopState{}}
	r.State, r.Ready = "", f.status.Usable && !h.Stopping()
	for _, st := range page {
		s := ShopState{Shop: st.Shop, Grant: st.Grant, State: st.State, Usable: st.Usable, Reauthorize: st.Reauthorize, LastErrorAt: st.FailedAt}
		if st.Err != nil {
			s.LastError = brief.Text(h.Setup.keysIn(st.Err.Error(), st.Shop), longestShopError)
		}
		if !st.Expires.IsZero() {
			s.TokenLeft = seconds(st.Left)
		}
		r.Shops = append(r.Shops, s)
	}
	if more {
		r.Next = r.Shops[len(r.Shops)-1].Shop
	}
	return r
}

// ofFleet is what is to be said of a process with many shops. What one of them lacks is said on its own page.
func ofFleet(f facts) (all []Verdict) {
	if f.fleet == nil {
		return nil
	}
	if f.status.Err != nil {
		all = append(all, Verdict{Level: LevelError, Code: codeStoreUnreachable, label: "Store unreachable", WhatToDo: f.afterFailure(),
			Text: "The store of grants cannot be read. Shops that are called go on until their tokens end; others get 503." + f.reason()})
	}
	if n := f.fleet.NeedPerson; n > 0 {
		all = append(all, Verdict{Level: LevelWarning, Code: codeReauthorize, label: "Log in again",
			Text:     count(float64(n), "shop needs", "shops need") + " its merchant to authorise the app anew; their calls get 503 when their tokens have ended.",
			WhatToDo: "See which in the table of shops; " + f.setup.command("store check") + " lists them all."})
	}
	if n := f.fleet.NoToken; n > 0 {
		v := Verdict{Level: LevelWarning, Code: codeNoToken, label: "Shops without a token",
			Text: count(float64(n), "shop has", "shops have") + " no usable token, so calls for " + map[bool]string{true: "it", false: "them"}[n == 1] + " get 503. Evergate goes on trying by itself.", WhatToDo: "See why in the table of shops."}
		if float64(n) >= errorShare*float64(f.fleet.Active) { // one of many is that shop's own affair
			v.Level = LevelError
		}
		all = append(all, v)
	}
	if n := f.fleet.Failing - f.fleet.NeedPerson - f.fleet.NoToken; n > 0 {
		all = append(all, Verdict{Level: LevelWarning, Code: codeRefreshFails, label: "Renewal fails",
			Text: "The last attempt to obtain a token failed for " + count(float64(n), "shop", "shops") + ". Evergate goes on trying by itself.", WhatToDo: "See why in the table of shops."})
	}
	return all
}

// statusAll answers /status.
func (h *handler) status(w http.ResponseWriter, r *http.Request, t Tokens) {
	if t == nil {
		answerJSON(w, http.StatusOK, h.fleetReport(h.facts(nil), r.URL.Query().Get("after"), r.URL.Query().Get("search")))
		return
	}
	answerJSON(w, http.StatusOK, h.report(h.facts(t)))
}

// readyFleet answers for the process.
func (h *handler) readyFleet(w http.ResponseWriter) {
	if h.Stopping() {
		sayUnavailable(w, denial.CodeStopping, "shutting down")
		return
	}
	if err := h.Shops.Ready(); err != nil {
		sayUnavailable(w, denial.CodeNoToken, "the store of grants cannot be read: "+brief.Text(err.Error(), longestText))
		return
	}
	say(w, http.StatusOK, "ok")
}

func (h *handler) startedFleet(w http.ResponseWriter) {
	switch {
	case h.Stopping(): // the chart's readinessProbe asks this
		sayUnavailable(w, denial.CodeStopping, "shutting down")
	case h.Shops.Started():
		say(w, http.StatusOK, "ok")
	case h.Shops.Ready() == nil:
		sayUnavailable(w, denial.CodeNoToken, "the store of grants has not been read yet")
	default:
		h.readyFleet(w)
	}
}

// shops is the part of the page with the table of shops. It works without script: each search and each page is a request.
func (v view) shops(p *markup.Page) {
	if v.Fleet == nil {
		return
	}
	head(p, "shops", "Shops")
	// The form stays when the rest is replaced: somebody may be typing.
	p.Put("<form method=\"get\" action=\"/\"><p><label for=\"search\">Name contains</label> <input id=\"search\" name=\"search\" value=\"{}\"> <button>Search</button></p></form>\n", v.Search)
	live(p, "shops")
	stored := ""
	if n := v.Fleet.Fleet.Stored; n != nil {
		stored = ", " + number(float64(*n), 0) + " stored"
	}
	p.Put("<p class=\"note\">{} active, {} listed{}. One that is idle costs nothing until it is called.</p>\n",
		number(float64(v.Fleet.Fleet.Active), 0), number(float64(v.Fleet.Fleet.Listed), 0), stored)
	if len(v.Fleet.Shops) == 0 {
		p.Put("<p class=\"note\">None.</p>\n")
		endSection(p)
		return
	}
	p.Put("<table>\n<thead><tr><th scope=\"col\">Shop</th><th scope=\"col\" class=\"number\">Left</th><th scope=\"col\" class=\"number\">State</th></tr></thead>\n<tbody>")
	for _, s := range v.Fleet.Shops {
		level, left := LevelOK, ""
		switch {
		case s.Reauthorize, s.State != Idle && !s.Usable:
			level = LevelError
		case s.LastError != "":
			level = LevelWarning
		}
		if s.TokenLeft != nil {
			left = span(time.Duration(*s.TokenLeft) * time.Second)
		}
		goesOn := ""
		if s.LastError != "" {
			goesOn = " goes-on"
		}
		p.Put(`<tr class="{}{}"><th scope="row"><a href="/?shop={}">{}</a></th><td class="number">{}</td><td class="number">{}</td></tr>`, string(level), goesOn, s.Shop, s.Shop, left, s.State)
		if s.LastError != "" {
			p.Put(`<tr class="{}"><td colspan="3">{}</td></tr>`, string(level), s.LastError)
		}
	}
	p.Put("</tbody>\n</table>\n")
	if v.Fleet.Next != "" {
		p.Put("<p><a href=\"/?after={}&amp;search={}\">More</a></p>\n", v.Fleet.Next, queryText(v.Search))
	}
	endSection(p)
}

// queryText leaves of a search what a name of a shop can have, so that it can stand in an address.
func queryText(search string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '.' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return -1
	}, search)
}
