package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"evergate/internal/check"
	"evergate/internal/config"
	"evergate/internal/durable"
	"evergate/internal/remedy"
	"evergate/internal/shopify"
	"evergate/internal/sidecar"
	"evergate/internal/token"
)

// initFile is what `init` writes unless it is told otherwise.
const initFile = "evergate.env"

// initDialog is what `init` asks a person for. Flags answer questions that are then not asked; a secret has none, because
// command lines are seen by everybody on the machine.
type initDialog struct {
	file                   string
	shop, clientID, secret string // as given by flags, then as answered
	offline, yes           bool
	again                  bool   // all is asked once more, and Enter keeps what was answered
	target                 string // the file itself, where a symlink leads to it
	// rounds is how often a person may answer anew; a script has one attempt.
	rounds  int
	written []string // the names of the settings in the file
	someone *prompter
}

func initCommand() action {
	i := &initDialog{}
	return action{
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&i.file, "file", initFile, "the `file` of settings to write")
			fs.StringVar(&i.shop, "shop", "", "the shop, instead of asking for it")
			fs.StringVar(&i.clientID, "client-id", "", "the app's client id, instead of asking for it")
			fs.BoolVar(&i.offline, "offline", false, "the app needs a merchant's consent, so that a login follows")
			fs.BoolVar(&i.yes, "yes", false, "write the file even if it exists or a check fails, without asking")
		},
		run: func(w env) error { return i.run(w) },
	}
}

func (i *initDialog) run(w env) error {
	i.someone, i.rounds = w.prompter(), 1
	if sidecar.IsTerminal(w.stdin) {
		i.rounds = 3
		fmt.Fprintf(w.err, "The app's settings in Shopify's Dev Dashboard show a client id and a client secret.\nWhat you answer is tried with Shopify and written to %s, for you alone to read.\n\n", i.file)
	}
	if err := i.mayWrite(); err != nil {
		return err
	}
	answers, c, err := i.untilRight(w)
	if err != nil {
		return err
	}
	if err := i.write(append(answers, wayOf(w.environ, c.cfg)...)); err != nil {
		return err
	}
	i.whatNext(w)
	return nil
}

// untilRight asks and tries until Shopify is content, or somebody says that it is to be as it is.
func (i *initDialog) untilRight(w env) (answers []string, c *checkup, err error) {
	for {
		if answers, err = i.ask(); err != nil {
			return nil, nil, err
		}
		// What else the environment says holds for this machine, such as the way out.
		environ := append(slices.DeleteFunc(slices.Clone(w.environ), isCredential), answers...)
		c = &checkup{environ: environ, noRefresh: true}
		if err = i.try(w, c); !errors.Is(err, errAnswerAgain) {
			return answers, c, err
		}
	}
}

// waySettings say how Shopify is reached, beside a proxy. What was tried with them works with them alone, and a cron job has none
// of this shell's environment.
var waySettings = []string{"EVERGATE_UPSTREAM_URL", "EVERGATE_UPSTREAM_CA_FILE", "EVERGATE_RESOLVER", proxySetting + "_FILE"}

const proxySetting = "EVERGATE_UPSTREAM_PROXY"

// wayOf are those of an environment, for a program that starts elsewhere. cfg, made of it, knows through which proxy the way leads:
// it may be every program's, of HTTPS_PROXY.
func wayOf(environ []string, cfg *config.Config) (all []string) {
	getenv := config.Getenv(environ)
	for _, name := range waySettings {
		value := strings.TrimSpace(getenv(name))
		if value == "" {
			continue
		}
		if strings.HasSuffix(name, "_FILE") {
			if whole, err := filepath.Abs(value); err == nil {
				value = whole
			}
		}
		all = append(all, name+"="+value)
	}
	if proxy, _, err := cfg.Proxy(); err == nil && proxy != nil && cfg.File(proxySetting) == "" {
		all = append(all, proxySetting+"="+strings.ReplaceAll(proxy.String(), "$", "%24")) // what reads a file may expand it
	}
	return all
}

// isCredential reports whether an entry of the environment is one that the answers take the place of.
func isCredential(entry string) bool {
	name, _, _ := strings.Cut(entry, "=")
	return strings.HasPrefix(name, "SHOPIFY_") && name != "SHOPIFY_SCOPES" || name == "EVERGATE_GRANT"
}

// mayWrite asks before a file is replaced, and before anything else is asked for: nobody is to answer in vain.
func (i *initDialog) mayWrite() error {
	if i.file == "" || i.file == "-" {
		return configError(errors.New("--file needs the name of a file: commands read it with --env-file"))
	}
	if i.file[0] == '-' { // what is printed is typed, and must not be taken for a flag
		i.file = "./" + i.file
	}
	i.target = i.file
	if resolved, err := filepath.EvalSymlinks(i.file); err == nil {
		i.target = resolved
	}
	info, err := os.Lstat(i.target)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return configError(remedy.New("choose another with --file", "%s is no regular file, and would be replaced by one", i.file))
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return i.unwritable(err)
	}
	probe, unwritable := durable.WriteTemp(filepath.Dir(i.target), initTemp, nil)
	if unwritable != nil {
		return i.unwritable(unwritable)
	}
	_ = os.Remove(probe) // if it cannot be, it is empty
	if err != nil {
		return nil
	}
	return i.someone.confirm(i.yes, i.file+" exists.", "Replace it?")
}

// initTemp is how the file is called while it is written.
const initTemp = ".evergate-*.tmp"

func (i *initDialog) unwritable(err error) error {
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		err = at.Err // of a temporary file, whose name says nothing
	}
	return remedy.New("choose another with --file", "%s cannot be written: %w", i.file, err)
}

// ask returns the settings that the answers are.
func (i *initDialog) ask() ([]string, error) {
	shop, err := i.question("Shop, the name before .myshopify.com", i.shop, false, func(answer string) error {
		_, err := token.ParseShop(answer)
		return err
	})
	if err != nil {
		return nil, err
	}
	id, err := i.question("Client id (or the permanent token of a custom app)", i.clientID, false, cleanCredential)
	if err != nil {
		return nil, err
	}
	i.shop, i.clientID = shop, id
	answers := []string{"SHOPIFY_SHOP=" + shop}
	if shopify.CredentialOf(token.NewSecret(id)).OpensAdminAPI() {
		return append(answers, "SHOPIFY_ACCESS_TOKEN="+id), nil
	}
	secret, err := i.question("Client secret", i.secret, true, cleanCredential)
	if err != nil {
		return nil, err
	}
	i.secret = secret
	if answers = append(answers, "SHOPIFY_CLIENT_ID="+id, "SHOPIFY_CLIENT_SECRET="+secret); i.offline {
		answers = append(answers, "EVERGATE_GRANT="+config.GrantOffline)
	}
	return answers, nil
}

func cleanCredential(answer string) error {
	if answer == "" {
		return errors.New("nothing was given")
	}
	cleaned, err := config.CleanSecret(answer)
	if err != nil {
		return fmt.Errorf("it %w", err)
	}
	if cleaned != answer {
		return errors.New("it has quotation marks or marks that cannot be seen: paste the value alone")
	}
	return nil
}

// question asks until the answer is one, a few times if a person answers. What is given is not asked for; when all is asked again,
// it is what Enter keeps. A secret is not shown, neither as it is typed nor as what is kept.
func (i *initDialog) question(text, given string, secret bool, acceptable func(string) error) (answer string, err error) {
	ask, keeps := i.someone.line, fmt.Sprintf(" [%s]", given)
	if secret {
		ask, keeps = i.someone.secret, " (it is not shown; Enter keeps it)"
	} else if shopify.CredentialOf(token.NewSecret(given)).OpensAdminAPI() {
		keeps = " (Enter keeps it)"
	}
	switch {
	case given == "" && secret:
		text += " (it is not shown)"
	case given != "" && i.again:
		text += keeps
	}
	for range i.rounds {
		if answer = given; given == "" || i.again {
			if answer, err = ask(text + ": "); err != nil {
				return "", err
			}
			answer = cmp.Or(answer, given)
		}
		if err = acceptable(answer); err == nil {
			return answer, nil
		}
		if given != "" && !i.again || i.rounds == 1 {
			break
		}
		fmt.Fprintf(i.someone.out, "  %s\n", err)
	}
	return "", configError(err)
}

// initChecks are the checks that say something of the answers.
var initChecks = []string{"configuration", "dns", "connection", "shop", "clock", "grant", "scopes", "version"}

// try has Shopify say whether the answers are right.
func (i *initDialog) try(w env, c *checkup) error {
	if c.prepare(); len(c.mistakes) > 0 {
		return configError(errors.Join(c.mistakes...))
	}
	checks := slices.DeleteFunc(c.checks(), func(one check.Check) bool { return !slices.Contains(initChecks, one.Name) })
	for n := range checks {
		checks[n].Needs = slices.DeleteFunc(slices.Clone(checks[n].Needs), func(need string) bool { return !slices.Contains(initChecks, need) })
	}
	ctx, stop := w.untilSignal()
	defer stop()
	results := check.Run(ctx, checks, func(r check.Result) {
		if r.Status != check.Skip && !i.loginFollows(r) {
			fmt.Fprintln(w.err, r.Line(colourOfStatus(w.coloursOn(w.err), r.Status)(string(r.Status))))
		}
	})
	results = slices.DeleteFunc(results, i.loginFollows)
	switch {
	case ctx.Err() != nil:
		return errStopped
	case !check.Failed(results):
		return nil
	}
	stop() // a signal is from now on for who waits for an answer
	if i.yes || i.rounds == 1 {
		return i.someone.confirm(i.yes, "\nNot everything is right.", "Write "+i.file+" all the same?")
	}
	return i.notRight()
}

// errAnswerAgain is what a person chooses who has mistyped something.
var errAnswerAgain = errors.New("the questions are asked again")

// notRight asks a person what is to become of answers that Shopify does not accept.
func (i *initDialog) notRight() error {
	answer, err := i.someone.line("\nNot everything is right. Type a to answer again, y to write " + i.file + " all the same, Enter to end: ")
	if err != nil {
		return err
	}
	switch strings.ToLower(answer) {
	case "a", "again":
		i.again = true
		fmt.Fprintln(i.someone.out)
		return errAnswerAgain
	case "y", "yes":
		return nil
	}
	return errDeclined
}

// loginFollows reports whether a result says what is known: that nobody has logged in yet.
func (i *initDialog) loginFollows(r check.Result) bool { return i.offline && r.Name == "grant" }

// write puts the answers into the file, whole or not at all.
func (i *initDialog) write(answers []string) error {
	lines := []string{"# Settings of Evergate. It holds a secret: nobody else should read it. `evergate config` lists every setting."}
	for _, answer := range answers {
		name, value, _ := strings.Cut(answer, "=")
		i.written = append(i.written, name)
		line, err := config.EnvLine(name, value)
		if err != nil {
			return configError(err)
		}
		lines = append(lines, line)
	}
	if err := durable.Write(i.target, initTemp, []byte(strings.Join(lines, "\n")+"\n")); err != nil {
		return i.unwritable(err)
	}
	return nil
}

func (i *initDialog) whatNext(w env) {
	file, inYAML := shellWord(i.file), i.file
	if file != i.file {
		inYAML = strconv.Quote(i.file)
	}
	var keys strings.Builder // of the Secret, for the chart
	for _, name := range i.written {
		if name != "SHOPIFY_SHOP" && strings.HasPrefix(name, "SHOPIFY_") {
			fmt.Fprintf(&keys, " --set secrets.keys.%s=%[1]s", name)
		}
	}
	if i.offline {
		keys.WriteString(" --set grant=offline --set store.kind=claim")
	}
	fmt.Fprintf(w.out, "\nWritten to %s.\n\n", i.file)
	if i.offline {
		fmt.Fprintf(w.out, "First have the merchant agree, once:\n\n  evergate --env-file %s login\n\n", file)
	}
	fmt.Fprintf(w.out, `Start it, for example

  by hand         evergate --env-file %[1]s
  for a command   evergate run --env-file %[1]s -- CMD
  by systemd      install -m 600 %[1]s /etc/evergate/evergate.env && systemctl enable --now evergate
                  (from the package: docs/operating/systemd.md)
  in compose      services:
                    evergate:
                      image: evergate
                      env_file: %[5]s
                    app:
                      network_mode: service:evergate
                  (docs/containers/container.md)
  in Kubernetes   evergate key app --file client-keys
                  kubectl create secret generic evergate --from-env-file=%[1]s
                  kubectl create secret generic evergate-clients --from-file=client-keys
                  helm install evergate charts/evergate --set image.registry=REGISTRY --set shop=%[3]s --set secrets.existingSecret=evergate --set authentication.clientKeysSecret=evergate-clients%[4]s
                  (REGISTRY is where you have pushed the image; callers show the key: docs/containers/kubernetes.md)

and call http://localhost:8080/admin/api/%[2]s/shop.json
`, file, shopify.ClientVersion, i.shop, keys.String(), inYAML)
}

// shellWord is a text as a shell takes it for one word.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_-./:@%+,", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
