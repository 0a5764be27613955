//go:build linux

package pkg

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A life of the package, in the order in which an operator meets it.
func TestPackagesLife(t *testing.T) {
	t.Parallel()
	older, newer := packages(t, oldVersion), packages(t, newVersion)
	requireNotInstalled(t)
	m := bootMachine(t)
	m.bring(t, the(t, older, "*.deb"), "old.deb")
	m.bring(t, the(t, newer, "*.deb"), "new.deb")
	for _, step := range []struct {
		name string
		run  func(*testing.T, *machine)
	}{
		{"installs_and_starts_nothing", installs}, {"unit_is_sound", verifies}, {"demo_runs", demos},
		{"wrong_settings_are_told_once", refusesWrongSettings}, {"service_works", serves}, {"service_may_little", isConfined},
		{"commands_share_its_store", executes}, {"socket_loses_no_call", isActivated}, {"watchdog_restarts_what_hangs", isWatched},
		{"several_shops", multiplies}, {"upgrade_keeps_the_settings", upgrades}, {"removal_keeps_what_is_the_operators", removes},
		{"purge_leaves_no_trace", purges}, {"apt_installs_and_upgrades_it", installsByApt},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.run(t, m) }) {
			return // the next would only fail for the same reason
		}
	}
}

// requireNotInstalled keeps the tests off a machine that uses Evergate: what they assert of a
// fresh one would be wrong there, although nothing of it would be changed.
func requireNotInstalled(t *testing.T) {
	t.Helper()
	requirePrograms(t, map[string]string{"dpkg-query": "dpkg"})
	if out := output(t, "sh", "-c", "dpkg-query --show --showformat='${db:Status-Abbrev}' evergate 2>/dev/null || true"); strings.TrimSpace(out) != "" {
		t.Fatal("the package evergate is known to dpkg here: run the tests on a machine without it")
	}
}

func installs(t *testing.T, m *machine) {
	said := m.must(t, "dpkg -i /test/old.deb")
	for _, part := range []string{"evergate demo", "/etc/evergate/evergate.env", "/etc/evergate/credentials/SHOPIFY_CLIENT_SECRET", "evergate-exec check"} {
		if !strings.Contains(said, part) {
			t.Errorf("it does not say what to do next, %s: %s", part, said)
		}
	}
	m.want(t, "dpkg-query -W -f '${db:Status-Abbrev}' evergate", "ii")
	m.want(t, "dpkg --verify evergate", "")
	list := m.must(t, "dpkg -L evergate")
	for path, mode := range installed {
		if !strings.Contains(list+"\n", path+"\n") {
			t.Errorf("%s is not listed", path)
		}
		if got := m.must(t, "stat -c '%A %U:%G' "+path); got != mode+" root:root" {
			t.Errorf("%s: %s", path, got)
		}
	}
	m.want(t, "systemctl is-enabled evergate.service evergate.socket || true", "disabled\ndisabled")
	m.want(t, "systemctl is-active evergate.service evergate.socket || true", "inactive\ninactive")
	m.want(t, "evergate version | cut -d' ' -f1-2", "evergate "+oldVersion)
	m.must(t, "man -w evergate")
}

var exposure = regexp.MustCompile(`Overall exposure level for \S+: (\d+\.\d)`)

func verifies(t *testing.T, m *machine) {
	for _, unit := range []string{"evergate.service", "evergate.socket", "evergate@acme.service"} {
		m.want(t, "systemd-analyze verify --man=yes "+unit+" 2>&1", "")
	}
	for _, unit := range []string{"evergate.service", "evergate@.service"} {
		said := m.must(t, "systemd-analyze security --no-pager --offline=true /usr/lib/systemd/system/"+unit)
		found := exposure.FindStringSubmatch(said)
		if found == nil {
			t.Fatalf("no score: %s", said)
		}
		if score, _ := strconv.ParseFloat(found[1], 64); score > 2.0 {
			t.Errorf("%s: exposure %s:\n%s", unit, found[1], said)
		}
	}
}

// demos runs the packaged program as somebody who has just installed it, and a command it shows.
func demos(t *testing.T, m *machine) {
	m.must(t, "systemd-run --quiet --unit=demo --property=User=nobody --property=StandardOutput=file:/tmp/demo /usr/bin/evergate demo")
	m.eventually(t, "the demo's introduction", func() error {
		_, err := m.try(t, "grep -q 'Ctrl-C ends it' /tmp/demo")
		return err
	})
	m.must(t, `eval "$(grep -m1 -o 'curl .*shop.json' /tmp/demo) --fail --silent --show-error" | grep -q myshopify_domain`)
	m.must(t, "systemctl stop demo")
}

// refusesWrongSettings: a configuration that is wrong stays wrong, so it is not tried again.
func refusesWrongSettings(t *testing.T, m *machine) {
	if out, err := m.try(t, "systemctl start evergate"); err == nil {
		t.Errorf("it started without settings: %s", out)
	}
	m.want(t, "systemctl show evergate -p ExecMainStatus -p NRestarts -p ActiveState --value | sort", "0\n2\nfailed")
	if log := m.must(t, "journalctl -u evergate -o cat --no-pager"); !strings.Contains(log, "SHOPIFY_SHOP is not set") {
		t.Errorf("%s", log)
	}
	m.must(t, "systemctl reset-failed evergate")
	if said, _ := m.try(t, "env -u SHOPIFY_SHOP evergate check 2>&1"); !strings.Contains(said, "`evergate-exec check`") {
		t.Errorf("root is not told where the service's settings are: %s", said)
	}
	m.must(t, "install -m 600 /dev/null /etc/evergate/credentials/SHOPIFY_CLIENT_SECERT && echo x >/etc/evergate/credentials/SHOPIFY_CLIENT_SECERT")
	if said, _ := m.try(t, "evergate-exec check 2>&1"); !strings.Contains(said, `the credential "SHOPIFY_CLIENT_SECERT"`) || !strings.Contains(said, "did you mean SHOPIFY_CLIENT_SECRET?") {
		t.Errorf("a misnamed secret is not named: %s", said)
	}
	m.must(t, "rm /etc/evergate/credentials/SHOPIFY_CLIENT_SECERT")
}

const clientSecret = "shpss_00000000000000000000000000000abc"

// configure starts a simulated Shopify there and writes the settings as the manual says.
func configure(t *testing.T, m *machine, name, shop string, port int) {
	t.Helper()
	m.must(t, fmt.Sprintf("systemd-run --quiet --unit=shopify-%s /usr/bin/evergate simulate --listen 127.0.0.1:%d --shop %s.myshopify.com "+
		"--client-id 0123456789abcdef0123456789abcdef --client-secret %s --ca-file /tmp/ca-%[3]s.pem", shop, port, shop, clientSecret))
	credentials := "/etc/evergate/credentials"
	if name != "evergate" {
		credentials = "/etc/evergate/" + name + ".credentials"
		m.must(t, "install -d -m 700 "+credentials)
	}
	m.must(t, fmt.Sprintf("install -m 600 /dev/stdin %s/SHOPIFY_CLIENT_SECRET <<< %s", credentials, clientSecret))
	m.eventually(t, "the simulator's certificate", func() error {
		_, err := m.try(t, "install -m 644 /tmp/ca-"+shop+".pem /etc/ssl/ca-"+shop+".pem")
		return err
	})
	m.must(t, fmt.Sprintf("cat >>/etc/evergate/%s.env <<E\nSHOPIFY_SHOP=%s\nSHOPIFY_CLIENT_ID=0123456789abcdef0123456789abcdef\n"+
		"EVERGATE_UPSTREAM_URL=https://127.0.0.1:%d\nEVERGATE_UPSTREAM_CA_FILE=/etc/ssl/ca-%s.pem\nE", name, shop, port, shop))
}

const call = "curl --fail --silent --show-error --max-time 60 http://localhost:8080/admin/api/2026-10/shop.json"

func serves(t *testing.T, m *machine) {
	configure(t, m, "evergate", "acme", 4443)
	m.must(t, "systemctl enable --now evergate") // returns when it is ready
	if answer := m.must(t, call); !strings.Contains(answer, `"myshopify_domain":"acme.myshopify.com"`) {
		t.Error(answer)
	}
	m.eventually(t, "the status in words", func() error {
		if said := m.must(t, "systemctl show evergate -p StatusText --value"); said != "acme.myshopify.com: All is well." {
			return errors.New(said)
		}
		return nil
	})
	m.want(t, "curl --fail --silent http://localhost:9090/readyz >/dev/null && echo ready", "ready")
}

// isConfined looks at the process, not at the unit.
func isConfined(t *testing.T, m *machine) {
	pid := m.must(t, "systemctl show evergate -p MainPID --value")
	status := m.must(t, "cat /proc/"+pid+"/status")
	for _, line := range []string{"NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000"} {
		if !strings.Contains(status, line) {
			t.Errorf("%q is not in:\n%s", line, status)
		}
	}
	if uid := regexp.MustCompile(`(?m)^Uid:\t(\d+)`).FindStringSubmatch(status); uid == nil || uid[1] < "61184" || uid[1] > "65519" {
		t.Errorf("it is not a dynamic user's: %q", uid)
	}
	if environ := m.must(t, "tr '\\0' '\\n' </proc/"+pid+"/environ"); strings.Contains(environ, clientSecret) {
		t.Error("the secret is in the process's environment")
	}
	m.want(t, "stat -L -c %A /var/lib/evergate", "drwx------")
	m.want(t, "stat -c %A /run/credentials/evergate.service/evergate_SHOPIFY_CLIENT_SECRET", "-r--------")
	if _, err := m.try(t, "setpriv --reuid=nobody --clear-groups cat /run/credentials/evergate.service/*"); err == nil {
		t.Error("another user can read the secret")
	}
	if log := m.must(t, "journalctl -u evergate -o cat --no-pager"); strings.Contains(log, clientSecret) || strings.Contains(log, "shpat_") || strings.Contains(log, "operation not permitted") {
		t.Errorf("%s", log)
	}
}

// executes: what an operator does by hand must land in the service's own store.
func executes(t *testing.T, m *machine) {
	m.must(t, "echo EVERGATE_STORE=file:/var/lib/evergate >>/etc/evergate/evergate.env && systemctl restart evergate && "+call)
	said := m.must(t, "evergate-exec token show 2>&1")
	if !strings.Contains(said, "acme.myshopify.com") || !strings.Contains(said, "client_credentials") {
		t.Errorf("%s", said)
	}
	// Its exit code is the command's, and standard input arrives.
	m.want(t, "evergate-exec token import </dev/null >/dev/null 2>&1; echo $?", "2")
	m.want(t, "evergate-exec healthcheck; echo $?", "0")
	if said, _ := m.try(t, "evergate-exec check"); !strings.Contains(said, "evergate_SHOPIFY_CLIENT_SECRET is readable for Evergate alone") || !strings.Contains(said, "a token was obtained") {
		t.Errorf("%s", said)
	}
	m.want(t, "evergate-exec --instance 'a b' version 2>/dev/null; echo $?", "2")
	m.want(t, "stat -c %U /var/lib/evergate/acme.myshopify.com.json", "evergate") // not root, who would lock the service out
	m.must(t, "systemctl restart evergate && "+call)
}

func isActivated(t *testing.T, m *machine) {
	m.must(t, "systemctl disable --now evergate.service && systemctl enable --now evergate.socket")
	m.want(t, "systemctl is-active evergate.service || true", "inactive")
	m.must(t, call) // starts it
	m.want(t, "systemctl is-active evergate.service", "active")
	if log := m.must(t, "journalctl -u evergate -o cat --no-pager -n 20"); !strings.Contains(log, `"opened_by":"systemd"`) {
		t.Errorf("%s", log)
	}
	said := m.must(t, `rm -f /tmp/stop
		(until [ -e /tmp/stop ]; do `+call+` >/dev/null 2>>/tmp/refused || echo failed >>/tmp/refused; echo called >>/tmp/calls; done) &
		for i in 1 2 3; do systemctl restart evergate; done
		touch /tmp/stop; wait; cat /tmp/refused; wc -l </tmp/calls`)
	if calls, err := strconv.Atoi(said); err != nil || calls < 3 {
		t.Errorf("while it was restarted: %s", said)
	}
	// An address for everybody is refused, and the log says what to write.
	m.must(t, `mkdir -p /etc/systemd/system/evergate.socket.d && printf '[Socket]\nListenStream=\nListenStream=8080\n' >/etc/systemd/system/evergate.socket.d/x.conf
		systemctl daemon-reload && systemctl stop evergate.service && systemctl restart evergate.socket`)
	if out, err := m.try(t, "systemctl start evergate.service"); err == nil {
		t.Errorf("it serves everybody: %s", out)
	}
	if log := m.must(t, "journalctl -u evergate -o cat --no-pager -n 20"); !strings.Contains(log, "ListenStream=127.0.0.1:8080") {
		t.Errorf("%s", log)
	}
	m.must(t, `rm -r /etc/systemd/system/evergate.socket.d && systemctl daemon-reload && systemctl reset-failed evergate && systemctl restart evergate.socket && `+call)
}

func isWatched(t *testing.T, m *machine) {
	m.must(t, `mkdir -p /etc/systemd/system/evergate.service.d && printf '[Service]\nWatchdogSec=3s\n' >/etc/systemd/system/evergate.service.d/x.conf
		systemctl daemon-reload && systemctl restart evergate.service`)
	before := m.must(t, "systemctl show evergate -p MainPID --value")
	m.must(t, "kill -STOP "+before)
	m.eventually(t, "the watchdog", func() error {
		now := m.must(t, "systemctl show evergate -p MainPID -p ActiveState --value | tr '\\n' ' '")
		if strings.HasPrefix(now, before) || strings.HasPrefix(now, "0 ") || !strings.Contains(now, " active") {
			return errors.New(now)
		}
		return nil
	})
	m.must(t, call)
	if log := m.must(t, "journalctl -u evergate --no-pager -o cat | grep -F Watchdog || true"); !strings.Contains(log, "Watchdog timeout") {
		t.Errorf("%s", log)
	}
	m.must(t, "rm -r /etc/systemd/system/evergate.service.d && systemctl daemon-reload && systemctl restart evergate.service")
}

func multiplies(t *testing.T, m *machine) {
	configure(t, m, "globex", "globex", 4444)
	m.must(t, "printf 'EVERGATE_LISTEN=127.0.0.1:8081\\nEVERGATE_ADMIN_LISTEN=127.0.0.1:9091\\nEVERGATE_STORE=file:/var/lib/evergate-globex\\n' >>/etc/evergate/globex.env")
	m.must(t, "systemctl enable --now evergate@globex")
	if answer := m.must(t, strings.Replace(call, "8080", "8081", 1)); !strings.Contains(answer, "globex.myshopify.com") {
		t.Error(answer)
	}
	m.must(t, call)
	if said := m.must(t, "evergate-exec --instance globex token show 2>&1"); !strings.Contains(said, "globex.myshopify.com") {
		t.Error(said)
	}
	m.want(t, "stat -L -c '%U' /var/lib/evergate-globex", "evergate-globex")
}

func upgrades(t *testing.T, m *machine) {
	before := m.must(t, "sha256sum /etc/evergate/evergate.env")
	m.must(t, "dpkg -i /test/new.deb")
	m.want(t, "sha256sum /etc/evergate/evergate.env", before)
	m.want(t, "evergate version | cut -d' ' -f1-2", "evergate "+newVersion)
	// What ran runs the new program, what was enabled still is, and no secret was touched.
	for _, unit := range []string{"evergate", "evergate@globex"} {
		m.want(t, "/proc/$(systemctl show "+unit+" -p MainPID --value)/exe version | cut -d' ' -f2", newVersion)
	}
	m.want(t, "systemctl is-enabled evergate.socket", "enabled")
	m.want(t, "stat -c %A /etc/evergate/credentials/SHOPIFY_CLIENT_SECRET", "-rw-------")
	m.must(t, call)
	m.want(t, "evergate-exec token show >/dev/null 2>&1; echo $?", "0")
}

func removes(t *testing.T, m *machine) {
	m.must(t, "dpkg -r evergate")
	m.want(t, "pgrep -fc '/usr/bin/evergate serv[e]' || true", "0")
	m.want(t, "ls /etc/systemd/system/*.wants/*evergate* 2>/dev/null || true", "")
	m.want(t, "systemctl show evergate.service evergate.socket -p LoadState --value | sort -u | tr -d '\\n'", "not-found")
	m.want(t, "stat -c %A /etc/evergate/credentials/SHOPIFY_CLIENT_SECRET", "-rw-------")
	m.want(t, "test -s /etc/evergate/evergate.env && test -s /var/lib/private/evergate/acme.myshopify.com.json && echo kept", "kept")
}

func purges(t *testing.T, m *machine) {
	m.must(t, "dpkg -P evergate")
	m.want(t, "dpkg-query -W -f '${db:Status-Abbrev}' evergate 2>/dev/null || true", "")
	for path := range installed {
		m.want(t, "ls -d "+path+" 2>/dev/null || true", "")
	}
	m.want(t, "ls -d /etc/evergate /var/lib/evergate* /var/lib/private/evergate* 2>/dev/null || true", "")
	m.want(t, "systemctl is-system-running", "running")
}
