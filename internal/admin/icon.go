package admin

import (
	"encoding/base64"
	"strings"
)

// An icon is a picture in a data: URL, so that a page whose sidecar is gone can still change it. The signs are those
// of Level.mark, because colours alone say nothing to many.
func icon(colour, path string) string {
	const start, end = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="8" fill="`,
		`" fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/></svg>`
	svg := start + colour + `"/><path d="` + path + end
	return "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(strings.TrimSpace(svg)))
}

// icon is the picture of a level in a tab.
func (l Level) icon() string {
	switch l {
	case LevelOK:
		return icon("#0b6b43", "M4.5 8.5l2.5 2.5 4.5-5.5")
	case LevelWarning:
		return icon("#8a5200", "M8 4v4.5M8 12v0")
	}
	return icon("#b3261e", "M5 5l6 6M11 5l-6 6")
}

// lostIcon is for a page that hears nothing any more.
func lostIcon() string { return icon("#6b7280", "M6 6a2 2 0 1 1 2.6 2c-.4.1-.6.5-.6 1M8 12v0") }
