package guard

import (
	"net/http"

	"evergate/internal/ascii"
	"evergate/internal/denial"
	"evergate/internal/request"
)

// CheckOrigin refuses what a web page of another origin sends, another port of this
// machine included. Programs that are no browsers send neither header and pass.
//
// Sec-Fetch-Mode is not looked at: it does not say who is asking, and Node's fetch
// sends "cors" although no page is involved.
func CheckOrigin(r *request.Request) error {
	if site := r.Fields.Values("Sec-Fetch-Site"); len(site) > 0 {
		// A browser sets this itself and no page can, so it settles the matter.
		if len(site) == 1 && (site[0] == "same-origin" || site[0] == "none") {
			return nil
		}
		return crossSite("Sec-Fetch-Site", site[0])
	}
	origin := r.Fields.Values("Origin")
	if len(origin) == 0 || len(origin) == 1 && sameOrigin(r, origin[0]) {
		return nil
	}
	return crossSite("Origin", origin[0])
}

// sameOrigin reports whether origin is the address that r was sent to.
func sameOrigin(r *request.Request, origin string) bool {
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return r.Host != "" && len(origin) == len(scheme)+len(r.Host) &&
		ascii.EqualFold(origin[:len(scheme)], scheme) && ascii.EqualFold(origin[len(scheme):], r.Host)
}

func crossSite(header, value string) error {
	return denial.New(http.StatusForbidden, denial.CodeCrossSite,
		"A web page of another origin sent this ("+header+": "+denial.Quote(value)+"), and Evergate answers none. "+
			"Call it from a program on the server side instead.")
}
