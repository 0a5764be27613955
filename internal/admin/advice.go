package admin

import (
	"regexp"
	"strings"
	"sync"

	"evergate/internal/remedy"
)

// Supervisor is who started the process, and will again.
type Supervisor int

// The supervisors that can be told from what they leave in the environment.
const (
	SupervisorUnknown Supervisor = iota
	SupervisorSystemd
	SupervisorContainer
	SupervisorKubernetes
)

// Setup is what advice has to know of an installation so that it can be followed there. The zero value gives
// advice for a process that somebody started by hand.
type Setup struct {
	// Command is how a sub-command is begun here; empty: evergate.
	Command    string
	Supervisor Supervisor
	// File is the path of the file that a setting is read from each time it is used; nil, or an empty path: it is not.
	File func(setting string) string
	// Upstream is the host that calls are sent to where it is not the shop: a simulator, a gateway. Empty: it is Shopify.
	Upstream string
	// ShopsFile is the file that has the settings of shops other than OwnShop, of which it says them by keys; empty: there is none. It is
	// read again when it changes.
	ShopsFile, OwnShop string
	// LoginURL is where a merchant's browser begins a login; empty: nowhere.
	LoginURL string

	// shop is what commands have to name; forShop sets it.
	shop remedy.Shop
}

const ownName = "`evergate "

// command is a command line for people.
func (s Setup) command(line string) string {
	if s.Command == "" {
		return ownName + line + "`"
	}
	return "`" + s.Command + " " + line + "`"
}

// shopCommand is a command line that means one shop; on the page about all of them, it is each of them.
func (s Setup) shopCommand(line string) string { return s.command(s.shop.Line(line)) }

// login is the command of a login, which needs a browser: there is none beside a service or in a container.
func (s Setup) login() string {
	if s.Supervisor == SupervisorUnknown {
		return s.shopCommand("login")
	}
	return s.shopCommand("login --paste")
}

// commandsIn has the commands that a text names called as they are called here.
func (s Setup) commandsIn(text string) string {
	if s.Supervisor != SupervisorUnknown {
		text = strings.NewReplacer(ownName+"login`", ownName+"login --paste`", ownName+"login --shop ", ownName+"login --paste --shop ").Replace(text)
	}
	if s.Command != "" {
		text = strings.ReplaceAll(text, ownName, "`"+s.Command+" ")
	}
	return text
}

func (s Setup) loginAgain() string {
	do := "Run " + s.login() + " with this sidecar's settings"
	if s.Command != "" && s.Supervisor != SupervisorUnknown {
		do = "Run " + s.login()
	}
	if s.LoginURL != "" {
		do += ", or send the merchant to `" + s.LoginURL + "`"
	}
	return do + ". It is noticed without a restart."
}

// replaceToken is what to do about a token that is refused and of which Evergate can get no other.
func (s Setup) replaceToken(grant string) string {
	const setting = "SHOPIFY_ACCESS_TOKEN"
	switch path := s.file(setting); {
	case grant == "offline":
		return s.loginAgain()
	case grant == "client_credentials":
		return "See in the store's admin whether the app is still installed. Evergate goes on asking for a token by itself."
	case path != "":
		return "Create or copy a valid token and put it into `" + path + "`. It is read again by itself."
	}
	return s.tellHow("Create or copy a valid token for " + setting)
}

func (s Setup) file(setting string) string {
	if s.File == nil {
		return ""
	}
	return s.File(setting)
}

var settingName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\b(?:SHOPIFY|EVERGATE)_[A-Z_]*[A-Z]\b`) })

// tellHow makes sentences of a remedy, and says how what it changes comes into force: a setting is read at
// the start, and a file each time it is used.
func (s Setup) tellHow(do string) string {
	if do == "" {
		return ""
	}
	text := asSentence(s.commandsIn(do))
	if s.ShopsFile != "" {
		if inFile := shopKeys.Replace(text); inFile != text {
			return inFile + " What is in `" + s.ShopsFile + "` is read again by itself."
		}
	}
	var files []string
	set := false
	for _, name := range settingName().FindAllString(do, -1) {
		name = strings.TrimSuffix(name, "_FILE")
		if path := s.file(name); path != "" {
			files = append(files, "`"+path+"`")
			continue
		}
		set = true
	}
	if len(files) > 0 {
		text += " What is in " + shortList(files) + " is read again by itself."
	}
	if set {
		text += " " + s.restart()
	}
	return text
}

// shopKeys are the settings that a shops file has as keys, see docs/reference/shops-file.md.
var shopKeys = strings.NewReplacer("SHOPIFY_CLIENT_ID", "client_id", "SHOPIFY_CLIENT_SECRET", "client_secret", "SHOPIFY_ACCESS_TOKEN", "access_token",
	"SHOPIFY_REFRESH_TOKEN", "refresh_token", "SHOPIFY_SCOPES", "scopes", "EVERGATE_GRANT", "grant")

// inShopsFile reports whether a shop's settings are in the shops file.
func (s Setup) inShopsFile(shop string) bool {
	return s.ShopsFile != "" && shop != "" && shop != s.OwnShop
}

// keysIn has the settings that a text names called as they are called where the shop has them.
func (s Setup) keysIn(text, shop string) string {
	if !s.inShopsFile(shop) {
		return text
	}
	return shopKeys.Replace(text)
}

// forShop is the setup as advice about one shop needs it.
func (s Setup) forShop(shop string) Setup {
	if s.ShopsFile != "" && shop != "" {
		s.shop = remedy.ShopOf(shop)
	}
	if !s.inShopsFile(shop) {
		s.ShopsFile = ""
	}
	return s
}

// restart says how a changed setting comes into force.
func (s Setup) restart() string {
	switch s.Supervisor {
	case SupervisorSystemd:
		return "Settings are read at the start: change them where the unit has them, and restart it with `systemctl restart`."
	case SupervisorKubernetes:
		return "Settings are read at the start: change the Secret or the values that they come from, and restart the pod."
	case SupervisorContainer:
		return "Settings are read at the start: start the container anew with the right ones."
	}
	return "Settings are read at the start: end Evergate and start it anew with the right ones."
}

// setClock says how a clock is set right.
func (s Setup) setClock() string {
	if s.Supervisor == SupervisorContainer || s.Supervisor == SupervisorKubernetes {
		return "A container has its host's clock: switch the time service (NTP) of the host on."
	}
	return "Switch this machine's time service (NTP) on."
}
