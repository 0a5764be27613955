package admin

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"evergate/internal/brief"
	"evergate/internal/refresh"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

// Level is how bad something is.
type Level string

// The levels, the worst one last.
const (
	LevelOK      Level = "ok"
	LevelWarning Level = "warning" // it works, and somebody has to act before it does not
	LevelError   Level = "error"   // calls fail, or are about to
)

func (l Level) severity() int { return slices.Index([]Level{LevelOK, LevelWarning, LevelError}, l) }

// Verdict is something that is true of the sidecar now. It holds no secret.
type Verdict struct {
	Level Level  `json:"level"`
	Code  string `json:"code"` // one of the constants, for programs
	// Text is a sentence or two. In it and in WhatToDo, what is to be typed stands between backticks.
	Text string `json:"text"`
	// WhatToDo is what a person is to do; empty when there is nothing.
	WhatToDo string `json:"what_to_do"`

	label string // a few words, for a tab
}

// The codes. They are API, as the fields of /status are.
const (
	codeOK               = "ok"
	codeNoCalls          = "no_calls" // all is well, and nobody has called yet
	codeStarting         = "starting"
	codeStopping         = "stopping"
	codeReauthorize      = "reauthorization_required"
	codeNoToken          = "no_token"
	codeTokenRefused     = "token_refused"
	codeTokenEnds        = "token_ends"
	codeRefreshFails     = "refresh_fails"
	codeRefreshTokenEnds = "refresh_token_ends"
	codeUnsaved          = "grant_not_saved"
	codeChainAlarm       = "refresh_chain_alarm"
	codeStoreUnreachable = "store_unreachable"
	codeMissingScopes    = "missing_scopes"
	codeCallsFail        = "calls_fail"
	codeVersionRetired   = "api_version_retired"
	codeVersionRetires   = "api_version_retires"
	codeClockWrong       = "clock_wrong"
	codeLocalCAEnds      = "local_ca_ends"
)

// The codes of notices.
const (
	CodeRefusedUnexplained = "calls_refused"           // with a 403 whose reason is not known
	CodePermanentRetired   = "permanent_token_retired" // of the kind that does not expire
	CodeStoreUnfit         = "store_unfit"             // the place where grants rest
	CodeFileNotInForce     = "file_not_in_force"       // a file about access has a mistake
	CodeCertificateEnds    = "certificate_ends"        // of the tls: listeners, soon or already
)

// facts are what verdicts are made of, at one moment.
type facts struct {
	now      time.Time
	status   refresh.Status
	stopping bool
	notices  []Notice
	setup    Setup
	// fleet is of a process with many shops, where none is chosen; the status is then the process's own.
	fleet *ShopCount
	// snapshot is of the metrics, and recent of the last minutes; nil: nothing is known of calls.
	snapshot *snapshot
	recent   recent
}

// judge says everything that is to be said of the sidecar now, the worst first; at least that all is well.
// It is the one place where good is told from bad: page, /status and systemd show what comes from here.
func judge(f facts) []Verdict {
	var found []*Verdict // pointers, as the snapshot sorts them
	for _, find := range [...]func(facts) []Verdict{
		ofProcess, ofFleet, ofToken, ofNotices, ofCalls, ofVersions, ofClock, ofLocalCA, ofStore, ofRefreshToken, ofScopes,
	} {
		for _, v := range find(f) {
			found = append(found, &v)
		}
	}
	slices.SortStableFunc(found, func(a, b *Verdict) int { return cmp.Compare(b.Level.severity(), a.Level.severity()) })
	var all []Verdict
	for _, v := range found {
		all = append(all, *v)
	}
	if len(all) == 0 {
		all = []Verdict{f.allWell()}
	}
	return all
}

// Sentence is what a person should know first of a token, where nothing else is known.
func Sentence(st refresh.Status) string {
	v := judge(facts{now: time.Now(), status: st})[0]
	return v.Text
}

func (f facts) allWell() Verdict {
	v := Verdict{Level: LevelOK, Code: codeOK, Text: "All is well.", label: "All is well"}
	switch {
	case f.status.State == "stale":
		v.Text = "The token works and is about to be renewed."
	case f.snapshot != nil && f.snapshot.requests == 0:
		v.Code, v.Text = codeNoCalls, "All is well. No tool has called yet."
	}
	return v
}

func ofProcess(f facts) []Verdict {
	if !f.stopping {
		return nil
	}
	return []Verdict{{Level: LevelWarning, Code: codeStopping, label: "Shutting down",
		Text: "The sidecar is shutting down: it ends what has begun, and takes nothing new."}}
}

// endsSoon is the part of a token's life that is left when it should long have been renewed: that is due after 80 %
// at the latest. The alert EvergateTokenWillDie begins there, too.
const endsSoon = 0.15

// ofToken is the state of the token, of which one thing is said.
func ofToken(f facts) []Verdict {
	st := f.status
	if f.fleet != nil {
		return nil
	}
	v := Verdict{Level: LevelError}
	refused := st.Refused && st.State != "expired" // a token whose time has passed is not sent, and no 401 comes of it
	switch life := st.Expires.Sub(st.Issued); {
	case st.State == "none" && st.Err == nil && !st.Reauthorize:
		v = Verdict{Level: LevelWarning, Code: codeStarting, label: "Starting", Text: "The first token is being obtained."}
	case st.Reauthorize:
		v.Code, v.label, v.WhatToDo = codeReauthorize, "Log in again", f.setup.loginAgain()
		switch {
		case refused:
			v.Text = "A person must authorise the app anew. Shopify refuses the token, and its 401 is passed on."
		case st.Usable:
			v.Text = "A person must authorise the app anew; until the token ends, requests work if Shopify still accepts it."
		default:
			v.Text = "A person must authorise the app anew. Requests are answered with 503."
		}
		v.Text += f.reason()
	case refused:
		v.Code, v.label, v.WhatToDo = codeTokenRefused, "Token refused", f.setup.replaceToken(st.Grant)
		v.Text = "Shopify refuses the token, and there is no other. Its 401 is passed on."
	case !st.Usable:
		v.Code, v.label, v.WhatToDo = codeNoToken, "No token", f.afterFailure()
		v.Text = "There is no usable token, so requests are answered with 503." + f.reason()
	case !st.Expires.IsZero() && life > 0 && st.Left.Seconds() < endsSoon*life.Seconds():
		v.Code, v.label, v.WhatToDo = codeTokenEnds, "Token ends", f.afterFailure()
		v.Text = "The token ends in " + span(st.Left) + " and has not been renewed." + f.reason()
	case st.Err != nil:
		v.Level, v.Code, v.label, v.WhatToDo = LevelWarning, codeRefreshFails, "Renewal fails", f.afterFailure()
		v.Text = "The token works; its renewal fails at the moment." + f.reason()
	default:
		return nil
	}
	return []Verdict{v}
}

// longestReason is in bytes: a verdict is a sentence, and the whole error is said elsewhere.
const longestReason = 300

// reason is why the last attempt failed, as a sentence of its own.
func (f facts) reason() string {
	if f.status.Err == nil {
		return ""
	}
	wrong, _ := remedy.Split(f.status.Err)
	return " " + asSentence(brief.Text(wrong, longestReason))
}

// afterFailure is what to do about the last attempt that failed: its own remedy, if it has one.
func (f facts) afterFailure() string {
	if f.status.Err == nil {
		return ""
	}
	if _, do := remedy.Split(f.status.Err); do != "" && !errors.Is(f.status.Err, token.ErrTransient) {
		return f.setup.tellHow(brief.Text(do, longestReason))
	}
	if _, isStore := errors.AsType[*refresh.StoreError](f.status.Err); isStore || f.fleet != nil { // a process with many shops has no other errors
		return "Evergate goes on trying by itself. If this lasts, see whether the store of `EVERGATE_STORE` runs, and whether this machine reaches it."
	}
	return "Evergate goes on trying by itself. If this lasts, run " + f.setup.shopCommand("check") + ", which says where the way to Shopify ends."
}

func ofStore(f facts) (all []Verdict) {
	if f.status.Unsaved != nil {
		all = append(all, Verdict{Level: LevelWarning, Code: codeUnsaved, label: "Grant not saved",
			Text:     "The newest grant is in memory only. " + asSentence(brief.Text(f.status.Unsaved.Error(), longestReason)),
			WhatToDo: "Make room in the store, or make it writable, before this process ends."})
	}
	if f.status.Alarm != nil {
		wrong, do := remedy.Split(f.status.Alarm)
		all = append(all, Verdict{Level: LevelWarning, Code: codeChainAlarm, label: "Refresh chain",
			Text: asSentence(brief.Text(wrong, longestReason)), WhatToDo: asSentence(brief.Text(do, longestReason))})
	}
	return all
}

// refreshEndsSoon is when the end of a refresh token is worth a warning: each renewal brings one that is good for 90 days.
const refreshEndsSoon = 14 * 24 * time.Hour

func ofRefreshToken(f facts) []Verdict {
	st := f.status
	left := st.RefreshExpires.Sub(f.now)
	if st.RefreshExpires.IsZero() || st.Reauthorize || left >= refreshEndsSoon {
		return nil
	}
	return []Verdict{{Level: LevelWarning, Code: codeRefreshTokenEnds, label: "Refresh token ends",
		Text:     "The refresh token ends in " + span(left) + ", because it has not been used for a long time. Then a person must authorise the app anew.",
		WhatToDo: f.setup.loginAgain()}}
}

func ofScopes(f facts) []Verdict {
	if len(f.status.MissingScopes) == 0 || !f.status.Usable {
		return nil
	}
	do := "Add the missing scopes to the app's version in the Dev Dashboard, and approve it on the store."
	if f.status.Grant == "offline" {
		do += " Then a login asks for them: " + f.setup.login() + "."
	}
	return []Verdict{{Level: LevelWarning, Code: codeMissingScopes, label: "Scopes missing",
		Text: "The token works, but lacks scopes that the settings name.", WhatToDo: do}}
}

// clockOff is more than a machine with a time service is ever wrong; the alert EvergateClockIsWrong says the same.
const clockOff = time.Minute

func ofClock(f facts) []Verdict {
	if f.snapshot == nil || f.snapshot.skew.Abs() <= clockOff {
		return nil
	}
	way := "behind"
	if f.snapshot.skew < 0 {
		way = "ahead of"
	}
	return []Verdict{{Level: LevelWarning, Code: codeClockWrong, label: "Clock wrong",
		Text:     "This machine's clock is " + span(f.snapshot.skew.Abs()) + " " + way + " Shopify's. Logins and signed callbacks fail with a wrong clock.",
		WhatToDo: f.setup.setClock()}}
}

// localCAEndsSoon is when the alert EvergateLocalCAEnds begins, too.
const localCAEndsSoon = 30 * 24 * time.Hour

func ofLocalCA(f facts) []Verdict {
	if f.snapshot == nil || f.snapshot.localCA.IsZero() || f.snapshot.localCA.Sub(f.now) >= localCAEndsSoon {
		return nil
	}
	return []Verdict{{Level: LevelWarning, Code: codeLocalCAEnds, label: "Local CA ends",
		Text:     "The local CA ends in " + span(f.snapshot.localCA.Sub(f.now)) + ". Tools that do not trust its successor by then stop with an error about the certificate.",
		WhatToDo: "Run " + f.setup.command("ca install") + " where tools trust the system's certificates, and write the file anew, with " + f.setup.command("ca") + ", where they read one."}}
}

func ofVersions(f facts) []Verdict {
	if f.snapshot == nil {
		return nil
	}
	var retired, retiring []string
	var next time.Time
	for _, v := range f.snapshot.versions {
		switch v.support(f.now) {
		case LevelError:
			retired = append(retired, v.Version)
		case LevelWarning:
			retiring = append(retiring, v.Version)
			if next.IsZero() || v.Retires.Before(next) {
				next = v.Retires
			}
		}
	}
	const do = "Have the tools ask for a newer version: it stands in the path of their calls, /admin/api/VERSION/. Shopify's changelog says what is different in it."
	var all []Verdict
	if len(retired) > 0 {
		all = append(all, Verdict{Level: LevelError, Code: codeVersionRetired, label: "API version retired", WhatToDo: do,
			Text: "Tools call a version of the API that Shopify has retired (" + shortList(retired) + "): a newer one answers in its place, and may answer otherwise."})
	}
	if len(retiring) > 0 {
		all = append(all, Verdict{Level: LevelWarning, Code: codeVersionRetires, label: "API version ends", WhatToDo: do,
			Text: "Tools call a version of the API that Shopify retires in " + span(next.Sub(f.now)) + " (" + shortList(retiring) + ")."})
	}
	return all
}

// Notice is something that Shopify said, or that is wrong with a file, and that a person must act on.
type Notice struct {
	Level Level
	Code  string
	// Label is a few words, Text what is wrong, and Do what to do about it.
	Label, Text, Do string
	// Whole is all of it in one text, as `notice` of /status has it.
	Whole string
}

// ofNotices are first among the equally bad, because they know the cause.
func ofNotices(f facts) []Verdict {
	var all []Verdict
	for _, n := range f.notices {
		level := n.Level
		if worst := f.recent.worst; n.Code == CodeRefusedUnexplained && f.recent.level() == LevelError && worst != nil && worst.Code == "" && worst.Status == http.StatusForbidden {
			level = LevelError // calls fail, and this is why
		}
		all = append(all, Verdict{Level: level, Code: n.Code, label: n.Label, Text: asSentence(brief.Text(n.Text, longestReason)), WhatToDo: f.setup.tellHow(brief.Text(n.Do, longestReason))})
	}
	return all
}

// asSentence begins with a capital and ends with a full stop.
func asSentence(text string) string {
	if text == "" {
		return ""
	}
	if c := text[0]; 'a' <= c && c <= 'z' {
		text = string(c-'a'+'A') + text[1:]
	}
	return strings.TrimRight(text, ".;: ") + "."
}

// shortList names a few.
func shortList(names []string) string {
	const most = 4
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}
