package ca

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"evergate/test/process"
)

// inside is a script that runs in a namespace of its own, in which the system's certificates are copies. $E is the program.
// The lines that it prints with `say` are what the test looks at; everything else goes to standard error.
const inside = `
set -eu
exec 3>&1 1>&2
say() { echo "$*" >&3; }
for dir in /etc/ssl/certs /usr/local/share/ca-certificates; do
	mkdir -p "$W$dir"
	cp -a --no-preserve=ownership "$dir/." "$W$dir"
	mount --bind "$W$dir" "$dir"
done
mkdir "$W/hooks"
mount --bind "$W/hooks" /etc/ca-certificates/update.d # others' copies, Java's for one, are made from ours by these
snapshot() { (cd /etc/ssl/certs && find . -name java -prune -o -print | sort && sha256sum ca-certificates.crt; ls /usr/local/share/ca-certificates; certutil -L -d "sql:$HOME/.pki/nssdb" | grep -i evergate || true); }
update-ca-certificates --fresh
mkdir -p "$HOME/.pki/nssdb"
certutil -N -d "sql:$HOME/.pki/nssdb" --empty-password
snapshot >"$W/before"

"$E" ca install --yes
root=$("$E" ca)
echo "$root" >"$W/root.pem"
openssl verify -x509_strict "$W/root.pem" && say OpenSSL trusts it
grep -qF "$(echo "$root" | sed -n 2p)" /etc/ssl/certs/ca-certificates.crt && say it is in the file of all
certutil -L -d "sql:$HOME/.pki/nssdb" | grep -q '^Evergate local CA [0-9a-f]* *C,,' && say NSS trusts it
"$E" ca install --yes
say "installed twice: $(ls /usr/local/share/ca-certificates | grep -c evergate)"

# Another one from before, which this environment no longer knows.
EVERGATE_CA_DIR="$W/older" "$E" ca install --yes
rm -r "$W/older"
EVERGATE_CA_DIR="$W/remote" "$E" ca | "$E" ca install --from - --yes
say "of several: $(ls /usr/local/share/ca-certificates | grep -c evergate) $(certutil -L -d "sql:$HOME/.pki/nssdb" | grep -c Evergate)"

"$E" ca uninstall --yes --purge
openssl verify -x509_strict "$W/root.pem" || say OpenSSL trusts it no more
snapshot >"$W/after"
diff "$W/before" "$W/after" && say nothing is left
[ -e "$HOME/.local/state/evergate/ca" ] || say the authority is gone
"$E" ca uninstall --yes
say ended
`

// What is installed is trusted by those who read the system's certificates, and by NSS; after the end of that nothing is left, also
// of authorities that nobody remembers.
func TestTrustComesAndGoesWithoutATrace(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"update-ca-certificates", "certutil", "openssl", "unshare"} {
		process.RequireProgram(t, program, install)
	}
	namespace := []string{"--mount"}
	if os.Geteuid() != 0 {
		namespace = []string{"--map-root-user", "--mount"}
	}
	if err := exec.Command("unshare", append(namespace, "true")...).Run(); err != nil {
		process.Missing(t, "namespaces cannot be made here: "+err.Error(), "sysctl kernel.apparmor_restrict_unprivileged_userns=0")
	}
	work := t.TempDir()
	script := filepath.Join(work, "script")
	if err := os.WriteFile(script, []byte(inside), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := process.Command(t, "unshare", []string{"W=" + work, "E=" + binary}, append(namespace, "bash", script)...)
	cmd.Env = append(cmd.Env, "PATH=/usr/sbin:/sbin:"+os.Getenv("PATH"))
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	want := `OpenSSL trusts it
it is in the file of all
NSS trusts it
installed twice: 1
of several: 3 3
OpenSSL trusts it no more
nothing is left
the authority is gone
ended
`
	if err != nil || string(out) != want {
		t.Errorf("%v\n%s\nwant\n%s\n%s", err, out, want, said.String())
	}
}
