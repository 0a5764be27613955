// Package corpus has requests that are malformed, or look so, and what must come of each. Tests of a whole Evergate send them (test/wire), and fuzzers
// begin with them.
package corpus

import (
	"net/http"
	"slices"
	"strings"
)

// API is where the API's paths begin.
const API = "/admin/api/2026-10"

// Attack is what a client sends over one connection and what must come of it.
type Attack struct {
	Name string
	// Send are the client's bytes. {api} stands for where the API's paths begin.
	Send string
	// Arrives are the requests that Shopify gets, each as method, path below the API and
	// body. None other does, and none in another reading.
	Arrives []string
	// Answers are the statuses that the client gets, in this order.
	Answers []int
	// Ends says that the connection ends with the last answer. Otherwise it must be fit for
	// another request, which shows that no byte was read in two ways.
	Ends bool
	// Breaks says that a request may begin to arrive, and is broken off.
	Breaks bool
}

// refused is the most frequent outcome: an answer of Evergate's own and the end of the connection.
func refused(name, send string, status int) Attack {
	return Attack{Name: name, Send: send, Answers: []int{status}, Ends: true}
}

// passes is the other one: one request arrives and is answered.
func passes(name, send, arrives string) Attack {
	return Attack{Name: name, Send: send, Arrives: []string{arrives}, Answers: []int{http.StatusOK}}
}

// denied is a request that Evergate understands and does not let through.
func denied(name, send string, status int) Attack {
	return Attack{Name: name, Send: send, Answers: []int{status}}
}

// Probe is the request that shows whether a connection can still be trusted.
const Probe = "GET " + API + "/probe.json HTTP/1.1\r\nHost: localhost\r\n\r\n"

// Bytes are what is sent.
func (a Attack) Bytes() string { return strings.ReplaceAll(a.Send, "{api}", API) }

// All are all of them.
func All() []Attack {
	return slices.Concat(Lengths, Codings, Chunks, Lines, Fields, Targets, Hosts, Methods, Versions, Offers)
}
