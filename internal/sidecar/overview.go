package sidecar

import (
	"strings"

	"evergate/internal/admin"
	"evergate/internal/config"
	"evergate/internal/metrics"
	"evergate/internal/shopify"
)

// What the page for people shows and no metric has.

// failuresOf translates what the metrics keep, which know nobody.
func failuresOf(met *metrics.Metrics) func() []admin.Failure {
	return func() (all []admin.Failure) {
		for _, u := range met.AllUnsuccessful() {
			all = append(all, admin.Failure{Route: u.Route.String(), Status: u.Status, Code: u.Code, Count: u.Count, Last: u.Last})
		}
		return all
	}
}

func waitsOf(met *metrics.Metrics) func() []admin.Wait {
	return func() (all []admin.Wait) {
		for _, w := range met.CallerWaits() {
			all = append(all, admin.Wait{Caller: w.Caller, Count: w.Waits, Longest: w.Longest, LongestAt: w.LongestAt})
		}
		return all
	}
}

// entrances are where tools call.
func (s *Sidecar) entrances() (all []admin.Entrance) {
	for _, url := range s.URLs() {
		all = append(all, admin.Entrance{URL: url, Try: FirstCall(url, s.cfg)})
	}
	return all
}

// FirstCall is a command for a shell that makes a first call at one of a sidecar's addresses.
func FirstCall(url string, c *config.Config) string {
	path := "/admin/api/" + shopify.ClientVersion + "/shop.json"
	if c.ShopsFile != "" {
		path = "/" + admin.AnyShop + path
	}
	call := "curl "
	if c.ClientKeysFile != "" {
		call += `-H "Authorization: Bearer $KEY" `
	}
	switch {
	case strings.HasPrefix(url, "unix:"):
		return call + "--unix-socket " + strings.TrimPrefix(url, "unix:") + " http://localhost" + path
	case strings.HasPrefix(url, "https:") && c.TLSCertFile == "":
		return call + "--cacert <(evergate ca) " + url + path
	}
	return call + url + path
}
