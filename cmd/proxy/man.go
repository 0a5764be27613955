package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"evergate/internal/config"
)

// printMan prints the manual page. Its date is that of the source, if the build says which
// (SOURCE_DATE_EPOCH), so that the same source makes the same page.
func printMan() action {
	return action{
		run: func(w env) error {
			date := ""
			if seconds, err := strconv.ParseInt(config.Getenv(w.environ)("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
				date = time.Unix(seconds, 0).UTC().Format(time.DateOnly)
			}
			m := manual{w.out}
			m.line(`.TH EVERGATE 1 %s "evergate %s"`, quoted(date), roff(version))
			m.line(".ad l") // long names leave lines that cannot be stretched to the margin
			m.introduce()
			m.commands()
			m.settings()
			m.conclude()
			return nil
		},
	}
}

// manual writes a page in the macros of man(7).
type manual struct{ out io.Writer }

func (m manual) line(format string, args ...any) { fmt.Fprintf(m.out, format+"\n", args...) }

func (m manual) section(name string) { m.line(".SH %s", name) }

// text writes one paragraph.
func (m manual) text(s string) { m.line("%s", roff(s)) }

// item writes a term and what it means.
func (m manual) item(term, meaning string) {
	m.line(".TP\n.B %s", roff(term))
	m.text(meaning)
}

func (m manual) introduce() {
	m.section("NAME")
	m.text("evergate - authenticating proxy for the Shopify Admin API")
	m.section("SYNOPSIS")
	m.line(".B evergate\n.RI [ COMMAND ]")
	m.section("DESCRIPTION")
	m.text("Evergate keeps a valid access token for a Shopify store at all times, so that tools need none. " +
		"They call a plain address on localhost; Evergate puts the token on the call and forwards it to the store over TLS.")
	m.line(".PP")
	m.text("Without a command it runs the sidecar. Settings come from the environment, or from files that --env-file names.")
}

func (m manual) commands() {
	m.section("COMMANDS")
	for _, s := range synopses() {
		m.item("evergate "+s.usage, sentence(s.summary))
		for _, f := range s.flags {
			m.line(".RS")
			help := sentence(f.help)
			if f.initial != "" {
				help += " Default: " + f.initial
			}
			m.item(strings.TrimSpace("--"+f.name+" "+f.value), help)
			m.line(".RE")
		}
	}
}

func (m manual) settings() {
	m.section("ENVIRONMENT")
	m.text("A setting with a NAME_FILE can be given as the path of a file instead, which is read again whenever it is used, " +
		"or as a systemd credential that is called NAME or evergate_NAME.")
	for _, s := range config.Settings() {
		term, meaning := s.Name, s.Help
		if s.File {
			term += ", " + s.Name + "_FILE"
		}
		if s.Default != "" {
			meaning += " Default: " + s.Default
		}
		m.item(term, meaning)
	}
}

func (m manual) conclude() {
	m.section("FILES")
	m.text("Where a package has installed the service:")
	m.item("/etc/evergate/evergate.env", "The service's settings.")
	m.item("/etc/evergate/credentials/", "The service's secrets, each in a file with the name of its setting.")
	m.item("/var/lib/evergate/", "Stored grants. They belong to the service; `evergate-exec token show` looks at them.")
	m.section("EXIT STATUS")
	m.item(strconv.Itoa(exitOK), "A clean end.")
	m.item(strconv.Itoa(exitFailure), "A failure, a drain that was cut short among them.")
	m.item(strconv.Itoa(exitConfig), "The configuration or the command line is wrong.")
	m.item(strconv.Itoa(exitFindings), "`evergate simulate --strict` has something to report.")
	m.line(".PP")
	m.text("evergate run exits as its command does: with " + strconv.Itoa(exitSidecar) + " if the sidecar failed, with " + strconv.Itoa(exitNotFound) + " if there is no such command, with " +
		strconv.Itoa(exitNotExecutable) + " if it cannot be executed, with 128 and the number of a signal that ended it.")
	m.section("EXAMPLES")
	m.text("See it work, without an account:")
	m.line(".PP\n.RS\n.nf\nevergate demo\n.fi\n.RE\n.PP")
	m.text("Around one command:")
	m.line(".PP\n.RS\n.nf\nevergate run \\-\\- sh \\-c \\(aqcurl \"$EVERGATE_URL/admin/api/2026\\-10/shop.json\"\\(aq\n.fi\n.RE")
	m.section(`"SEE ALSO"`)
	m.line(".BR systemctl (1),\n.BR systemd.socket (5)")
}

// roff keeps text from being read as requests and its hyphens from becoming dashes that
// nobody can paste.
func roff(s string) string {
	// A list without spaces may be broken after each comma; it would stand out of the line else.
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n", " ", ", ", ", ", ",", `,\:`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

func quoted(s string) string { return `"` + s + `"` }

// sentence makes one of a summary.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}
