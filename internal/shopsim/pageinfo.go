package shopsim

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	defaultLimit = 50
	maxLimit     = 250
)

// cursor is what a page_info stands for. Clients must treat it as opaque.
type cursor struct {
	Direction string `json:"direction"` // "next" or "prev"
	// LastID is the id next to the page: before its first item when going
	// forward, after its last one when going back.
	LastID int64 `json:"last_id"`
	// Filter keeps the filters of the first request, which may not be repeated.
	Filter string `json:"filter,omitempty"`
}

func (c cursor) encode() string {
	b, err := json.Marshal(c)
	if err != nil {
		panic(fmt.Sprintf("shopsim: encode cursor: %v", err)) // two strings and a number
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

var errCursor = errors.New("page_info is not one that this server gave out")

func decodeCursor(s string) (cursor, error) {
	var c cursor
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil || json.Unmarshal(b, &c) != nil {
		return cursor{}, errCursor
	}
	if c.Direction != "next" && c.Direction != "prev" || c.LastID < 0 {
		return cursor{}, errCursor
	}
	return c, nil
}

// listProducts answers one page of products.
func (s *Sim) listProducts(q *request) *response {
	query := q.URL.Query()
	limit, refused := pageLimit(query)
	if refused != nil {
		return refused
	}
	at, refused := pageCursor(query)
	if refused != nil {
		return refused
	}
	filters, err := url.ParseQuery(at.Filter)
	if err != nil {
		return badPageInfo()
	}
	all := q.shop.products.matching(filters)
	from, to := pageBounds(all, at, limit)
	views := []any{}
	for _, p := range all[from:to] {
		views = append(views, p.restView(fieldList(query)))
	}
	resp := jsonResponse(http.StatusOK, map[string]any{"products": views})
	if link := pageLinks(q, all, from, to, at.Filter); link != "" {
		resp.header.Set("Link", link)
	}
	return resp
}

func pageLimit(query url.Values) (int, *response) {
	text := query.Get("limit")
	if text == "" {
		return defaultLimit, nil
	}
	limit, err := strconv.Atoi(text)
	switch {
	case err != nil || limit < 1:
		return 0, jsonErrors(http.StatusBadRequest, map[string]string{"limit": "Required parameter missing or invalid"})
	case limit > maxLimit:
		return 0, jsonErrors(http.StatusBadRequest, fmt.Sprintf("Limit exceeds maximum limit of %d", maxLimit))
	}
	return limit, nil
}

// pageCursor says where the page begins: at the start with the filters of the
// query, or where page_info points, which only limit and fields may accompany.
func pageCursor(query url.Values) (cursor, *response) {
	if !query.Has("page_info") {
		filter := url.Values{}
		for _, name := range productFilters {
			if v := query.Get(name); v != "" {
				filter.Set(name, v)
			}
		}
		return cursor{Direction: "next", Filter: filter.Encode()}, nil
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if !slices.Contains([]string{"page_info", "limit", "fields"}, name) {
			return cursor{}, jsonErrors(http.StatusBadRequest, map[string]string{name: name +
				" cannot be passed when page_info is present. See https://shopify.dev/api/usage/pagination-rest for more information."})
		}
	}
	at, err := decodeCursor(query.Get("page_info"))
	if err != nil {
		return cursor{}, badPageInfo()
	}
	return at, nil
}

func badPageInfo() *response {
	return jsonErrors(http.StatusBadRequest, map[string]string{"page_info": "Invalid value."})
}

// pageBounds cuts the page out of all products that match.
func pageBounds(all []*product, at cursor, limit int) (from, to int) {
	pos, found := slices.BinarySearchFunc(all, at.LastID, func(p *product, id int64) int { return cmp.Compare(p.id, id) })
	if at.Direction == "prev" {
		return max(0, pos-limit), pos
	}
	if found {
		pos++
	}
	return pos, min(len(all), pos+limit)
}

// pageLinks is the Link header: absolute URLs at the shop's own domain, which
// is why a proxy has to rewrite it. There is none when everything fits a page.
func pageLinks(q *request, all []*product, from, to int, filter string) string {
	var links []string
	add := func(rel string, at cursor) {
		values := url.Values{"page_info": {at.encode()}}
		for _, name := range []string{"limit", "fields"} {
			if v := q.URL.Query().Get(name); v != "" {
				values.Set(name, v)
			}
		}
		u := url.URL{Scheme: "https", Host: q.shop.domain, Path: q.URL.Path, RawQuery: values.Encode()}
		links = append(links, fmt.Sprintf("<%s>; rel=%q", u.String(), rel))
	}
	if from > 0 && from < len(all) {
		add("previous", cursor{Direction: "prev", LastID: all[from].id, Filter: filter})
	}
	if to < len(all) && to > 0 {
		add("next", cursor{Direction: "next", LastID: all[to-1].id, Filter: filter})
	}
	return strings.Join(links, ", ")
}
