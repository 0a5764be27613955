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

// restList is a REST resource that is listed page by page.
type restList[T gqlNode] struct {
	name    string
	items   []T      // in the order of their keys
	filters []string // the parameters that choose items
	match   func(T, url.Values) bool
	view    func(T) map[string]any
}

// page answers one page of the list.
func (l restList[T]) page(q *request) *response {
	query := q.URL.Query()
	limit, refused := pageLimit(query)
	if refused != nil {
		return refused
	}
	at, refused := pageCursor(query, l.filters)
	if refused != nil {
		return refused
	}
	filters, err := url.ParseQuery(at.Filter)
	if err != nil {
		return badPageInfo()
	}
	all := l.matching(filters)
	from, to := pageBounds(all, at, limit)
	views := []any{}
	for _, item := range all[from:to] {
		views = append(views, reduced(l.view(item), fieldList(query)))
	}
	resp := jsonResponse(http.StatusOK, map[string]any{l.name: views})
	if link := pageLinks(q, all, from, to, at.Filter); link != "" {
		resp.header.Set("Link", link)
	}
	return resp
}

// count answers how many items there are.
func (l restList[T]) count(q *request) *response {
	return jsonResponse(http.StatusOK, map[string]int{"count": len(l.matching(q.URL.Query()))})
}

// matching lists the items that a query asks for. Parameters that are not filters are ignored, as Shopify
// ignores what it does not know.
func (l restList[T]) matching(query url.Values) []T {
	since, err := strconv.ParseInt(query.Get("since_id"), 10, 64)
	ids := query.Get("ids")
	if l.match == nil && err != nil && ids == "" {
		return l.items
	}
	var out []T
	for _, item := range l.items {
		switch {
		case err == nil && item.key() <= since:
		case ids != "" && !slices.Contains(strings.Split(ids, ","), strconv.FormatInt(item.key(), 10)):
		case l.match != nil && !l.match(item, query):
		default:
			out = append(out, item)
		}
	}
	return out
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
func pageCursor(query url.Values, filters []string) (cursor, *response) {
	if !query.Has("page_info") {
		filter := url.Values{}
		for _, name := range append([]string{"ids", "since_id"}, filters...) {
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

// pageBounds cuts the page out of all items that match.
func pageBounds[T gqlNode](all []T, at cursor, limit int) (from, to int) {
	pos, found := slices.BinarySearchFunc(all, at.LastID, func(item T, id int64) int { return cmp.Compare(item.key(), id) })
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
func pageLinks[T gqlNode](q *request, all []T, from, to int, filter string) string {
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
		add("previous", cursor{Direction: "prev", LastID: all[from].key(), Filter: filter})
	}
	if to < len(all) && to > 0 {
		add("next", cursor{Direction: "next", LastID: all[to-1].key(), Filter: filter})
	}
	return strings.Join(links, ", ")
}
