package clientenv

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
)

// setWget writes a file for wget, which learns of certificates by no other way. The file takes the place of the user's own, so
// that it begins with what is in there.
func (e *builder) setWget() {
	own := e.get("WGETRC")
	if home := e.get("HOME"); own == "" && home != "" {
		own = filepath.Join(home, ".wgetrc")
	}
	var b bytes.Buffer
	if own != "" {
		text, err := e.open(own)
		if err != nil && e.get("WGETRC") != "" {
			e.note("WGETRC=" + own + " cannot be read, and does not count")
		}
		for line := range strings.Lines(string(text)) {
			if !decidesTheWay(line) {
				b.WriteString(strings.TrimRight(line, "\r\n") + "\n")
			}
		}
	}
	roots := e.bundle()
	if roots == "" {
		return
	}
	b.WriteString("ca_certificate = " + roots + "\n")
	e.set("WGETRC", e.add("wgetrc", b.Bytes()))
}

// decidesTheWay finds the commands of a wgetrc that come before the environment and would lead past Evergate. Their
// names are compared without case, underscores and hyphens, as wget does.
func decidesTheWay(line string) bool {
	name, _, _ := strings.Cut(line, "=")
	switch strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(strings.TrimSpace(name))) {
	case "useproxy", "httpproxy", "httpsproxy", "noproxy", "proxyuser", "proxypassword", "cacertificate", "cadirectory":
		return true
	}
	return false
}

// setPHP writes a file for PHP, which learns of certificates from its configuration alone. An empty element of the list is
// where PHP was built to look.
func (e *builder) setPHP() {
	roots := e.bundle("SSL_CERT_FILE")
	if roots == "" {
		return
	}
	var dirs []string
	for dir := range strings.SplitSeq(e.get("PHP_INI_SCAN_DIR"), string(os.PathListSeparator)) {
		if dir != e.path("php") {
			dirs = append(dirs, dir)
		}
	}
	ini := e.add("php/evergate.ini", []byte("curl.cainfo = \""+roots+"\"\nopenssl.cafile = \""+roots+"\"\n"))
	e.set("PHP_INI_SCAN_DIR", strings.Join(append(dirs, filepath.Dir(ini)), string(os.PathListSeparator)))
}
