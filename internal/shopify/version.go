package shopify

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// Version is an API version, from a closed list, so that no client can grow the number of
// time series. The zero Version is "other".
type Version uint8

const (
	// VersionOther is anything that is not a version.
	VersionOther Version = iota
	// VersionNone is a path, or an answer, that names none.
	VersionNone
	// VersionUnstable is Shopify's preview, which nobody promises anything about.
	VersionUnstable
	firstDated // the first quarter of firstYear; the others follow
)

// Shopify's first dated version was 2019-04, and it serves none for two years.
const firstYear, lastYear = 2019, 2049

// VersionCount is how many versions the list has. Every Version is less.
const VersionCount = int(firstDated) + 4*(lastYear-firstYear+1)

// versionNames are made when the first is asked for.
var versionNames = sync.OnceValue(func() []string {
	names := []string{"other", "none", "unstable"}
	for year := firstYear; year <= lastYear; year++ {
		for _, month := range []int{1, 4, 7, 10} {
			names = append(names, fmt.Sprintf("%d-%02d", year, month))
		}
	}
	return names
})

// String returns the name, which is also the value of the metrics' label.
func (v Version) String() string { return versionNames()[v] }

// ParseVersion reads YYYY-MM with the first month of a quarter, or unstable. It allocates
// nothing.
func ParseVersion(s string) Version {
	switch {
	case s == "":
		return VersionNone
	case s == "unstable":
		return VersionUnstable
	case len(s) != len("2026-10") || s[4] != '-':
		return VersionOther
	}
	year, month := 0, 0
	for i := range 4 {
		year = 10*year + digit(s[i])
	}
	month = 10*digit(s[5]) + digit(s[6])
	if year < firstYear || year > lastYear || month > 10 || month%3 != 1 {
		return VersionOther
	}
	return firstDated + Version(4*(year-firstYear)+month/3)
}

// digit makes everything that is none so large that no sum with it is a year or a month.
func digit(c byte) int {
	if c < '0' || c > '9' {
		return 1 << 20
	}
	return int(c - '0')
}

// versionOf reads the version that a raw path names: /admin/api/{version}/… names one,
// /admin/… does not. asked is the version as it stands there; empty unless it has the form of
// one, because what a client wrote there goes into a log. It allocates nothing.
func versionOf(path string) (v Version, asked string) {
	rest, ok := strings.CutPrefix(path, apiPrefix)
	switch {
	case !ok && strings.HasPrefix(path, adminPrefix), ok && rest == graphQLName:
		return VersionNone, ""
	case !ok:
		return VersionOther, ""
	}
	name, _, more := strings.Cut(rest, "/")
	if name == "" {
		return VersionOther, ""
	}
	if more && (name == "unstable" || isQuarter(name)) {
		asked = name
	}
	return ParseVersion(name), asked
}

// isQuarter reports whether s has the form of 2026-10.
func isQuarter(s string) bool {
	if len(s) != len("2026-10") {
		return false
	}
	for i := range len(s) {
		if digit := '0' <= s[i] && s[i] <= '9'; digit == (i == 4) || i == 4 && s[i] != '-' {
			return false
		}
	}
	return true
}

// Retires is when Shopify may stop serving a version: twelve months after its release, which
// is on the first day of its quarter at 17:00 UTC. It may go on a little longer, never less.
// False: the version has no such date.
func (v Version) Retires() (time.Time, bool) {
	if v < firstDated {
		return time.Time{}, false
	}
	n := int(v - firstDated)
	return time.Date(firstYear+n/4+1, time.Month(1+n%4*3), 1, 17, 0, 0, 0, time.UTC), true
}
