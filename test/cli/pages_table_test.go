//go:build linux

package cli

// Why blocks are not run.
const (
	needsSystem  = "it changes users, packages or services of the machine: test/package installs the packages and starts the units"
	needsRelease = "it needs a release that is published, or minutes to build one: test/supply builds the binary twice and compares"
	needsPlace   = "nothing is published yet, and packages are for the machine: test/supply and test/package try what is made for it"
)

// typed are the blocks for a shell of each page, in their order.
var typed = map[string][]block{
	"README.md": {
		{first: "go run ./cmd/proxy demo", not: "docs/using/agent.md has the demo, with the binary that is tested"},
		{first: "make build", before: "unset SHOPIFY_SHOP SHOPIFY_CLIENT_ID SHOPIFY_CLIENT_SECRET_FILE", types: "THE-SHOP\nTHE-ID\nTHE-SECRET\n", says: `(?s)Written to evergate.env`},
		{first: "curl http://localhost:8080/admin/api/2026-10/shop.json", says: `"shop":\{`},
		{first: "export PATH=$PWD/bin:$PATH", after: "env | grep ^SHOPIFY_CLIENT_SECRET=", says: "shpss_"},
		{first: "evergate login       # opens a browser, stores the grant; then start Evergate as above", before: "kill $sidecar; ended", says: "is authorised on"},
		{first: `evergate run -- sh -c 'curl -sS "$EVERGATE_URL/admin/api/2026-10/products/count.json"'`, says: `"count":`},
		{first: "evergate run --policy read-only -- curl -sS https://your-shop.myshopify.com/admin/api/2026-10/shop.json", says: `"shop":\{`},
		{first: "make test", not: "it runs this test"},
	},

	"docs/using/agent.md": {
		{first: "EVERGATE_POLICY=read-only evergate demo"},
		{first: "DEMO=http://127.0.0.1:8080", says: `(?s)"name":.*You may only read here`},
		{first: "evergate run --policy read-only -- claude", not: "the programs are others': test/clients/libraries runs them with these lines"},
		{first: "useradd --system evergate", not: needsSystem},
		{first: "EVERGATE_POLICY=read-only", not: "these are lines of a file, and name a user that the block before makes"},
		{first: "install bin/evergate /usr/local/bin/evergate", not: "it needs the user"},
		{first: "curl --unix-socket /run/evergate/agent.sock http://localhost/admin/api/2026-10/shop.json", not: "it needs the user; docs/operating/authentication.md has the same call"},
		{first: "install -d -m 755 /etc/evergate", says: "evg_"},
		{first: "export EVERGATE_POLICY=none", after: "evergate; curl -s http://localhost:8080/admin/api/2026-10/shop.json", says: "has to know who calls"},
	},
	"docs/using/ca.md": {
		{first: "export EVERGATE_LISTEN=127.0.0.1:8080,tls:127.0.0.1:8443"},
		{first: "evergate ca > evergate-ca.pem            # makes the authority if there is none, and tells its fingerprint", after: "cat evergate-ca.pem", says: `(?s)"shop":\{.*BEGIN CERTIFICATE`},
		{first: "openssl x509 -in evergate-ca.pem -noout -fingerprint -sha256", says: "(?i)sha256 Fingerprint="},
		{first: "curl -s -o evergate-ca.pem http://127.0.0.1:9090/ca.pem", not: "it changes what the machine trusts: test/ca does, in machines of its own"},
	},
	"docs/using/check.md": {
		{first: "evergate check", says: `ok +grant`},
		{first: `evergate check --json | jq -e 'all(.status != "fail")'`, says: "true"},
	},
	"docs/using/clients.md": {
		{first: "keytool -importcert -noprompt -alias evergate -file evergate-ca.pem -keystore roots.p12 -storetype PKCS12 -storepass changeit", not: "it needs Java: test/clients/libraries runs it where there is one"},
		{first: `evergate run -- sh -c 'shopify theme list --store "$SHOPIFY_SHOP" --password "$SHOPIFY_ACCESS_TOKEN"'`, not: "it needs Shopify CLI: test/clients/libraries runs it"},
		{first: "mkdir -p ~/.config/shopify-cli-store-nodejs", not: "it is for the next block"},
		{first: "evergate run -- shopify store execute --store acme.myshopify.com --query '{ shop { name } }'", not: "it needs Shopify CLI: test/clients/libraries runs both"},
		{first: "curl --fail --silent --show-error https://acme.myshopify.com/admin/api/2026-10/shop.json", before: `evergate; eval "$(evergate env)"`, says: `"shop":\{`},
		{first: "wget --quiet --output-document - https://acme.myshopify.com/admin/api/2026-10/shop.json", says: `"shop":\{`},
	},
	"docs/using/grants.md": {
		{first: "export SHOPIFY_SHOP=blue-finch", says: `ok +grant`},
		{first: "export SHOPIFY_SHOP=blue-finch", says: `(?s)is authorised on.*grant +offline, expires`},
		{first: "evergate token import", before: `REFRESH=$(evergate token show --reveal | grep -o "shprt_[0-9a-f]*"); rm -r "$HOME/.local/state/evergate"`, types: "$REFRESH\n", after: "evergate; evergate token show", says: "(?s)previous one"},
		{first: "evergate token import < /run/secrets/refresh_token", before: `evergate token show --reveal | grep -o -m1 "shprt_[0-9a-f]*" >/run/secrets/refresh_token; rm -r "$HOME/.local/state/evergate"`, after: "evergate token show", says: "refresh token  kept"},
		{first: "evergate token import", before: `rm -r "$HOME/.local/state/evergate"`, types: "PERMANENT\n", says: `(?s)ok +store.*ok +scopes`},
		{first: "export SHOPIFY_SHOP=blue-finch", before: "unset SHOPIFY_CLIENT_ID SHOPIFY_CLIENT_SECRET_FILE", says: `ok +grant`},
		{first: "evergate token revoke", types: "y\n", says: "(?i)uninstalled"},
		{
			first:  "evergate token show",
			before: "unset SHOPIFY_ACCESS_TOKEN_FILE; export SHOPIFY_CLIENT_ID=3f1c9b7a5d2e4f60819273a4b5c6d7e8 SHOPIFY_CLIENT_SECRET_FILE=/run/secrets/client_secret; evergate login",
			says:   `(?s)grant +offline.*"grant": "offline"`,
		},
	},
	"docs/using/login.md": {
		{first: "evergate login", says: "is authorised on"},
		{first: "evergate login --paste", not: "a person copies an address out of a browser, which cmd/proxy's tests of the login do"},
		{
			first: "export EVERGATE_GRANT=offline",
			after: "evergate; curl -s -o /dev/null -w '%{http_code} %{redirect_url}' -H 'Host: login.example.com' http://127.0.0.1:8090/oauth/start",
			says:  "302 https://blue-finch.myshopify.com/admin/oauth/authorize",
		},
		{first: `curl http://127.0.0.1:9090/-/token-exchange -H 'Content-Type: application/json' -d '{"session_token": "eyJ…"}'`, says: "session token"},
	},
	"docs/using/permanent-tokens.md": {
		{first: "export SHOPIFY_ACCESS_TOKEN=shpat_...", types: "y\n", says: "(?i)stored"},
		{first: "unset SHOPIFY_ACCESS_TOKEN", says: `(?s)expires and is renewed.*ok +grant`},
		{first: "evergate token migrate --all --dry-run", not: "it needs a shops file; test/fleet runs it with twenty shops"},
		{first: "evergate simulate --plain --listen 127.0.0.1:4443 --control 127.0.0.1:4444", says: "simulated Shopify at"},
		{first: "export SHOPIFY_SHOP=blue-finch SHOPIFY_CLIENT_ID=3f1c9b7a5d2e4f60819273a4b5c6d7e8", before: "unset EVERGATE_UPSTREAM_CA_FILE SHOPIFY_CLIENT_SECRET_FILE", types: "y\n", says: `(?s)401.*shprt_.*ok +grant`},
		{first: `curl -s http://127.0.0.1:4444/_sim/faults -d '{"kind":"drop","grant":"migration","after_commit":true,"count":1}'`},
	},
	"docs/using/rate-limits.md": {
		{first: "export EVERGATE_PACE_MAX_WAIT=10m", after: "evergate config --changed", says: `EVERGATE_PACE_MAX_WAIT +10m`},
	},
	"docs/using/run.md": {
		{first: "evergate run -- CMD…", not: "it is a pattern"},
		{first: "0 3 * * *  /usr/local/bin/evergate run --env-file /home/acme/evergate.env -- /opt/sync.sh", not: "it is a line of a crontab"},
		{first: `eval "$(evergate env)"        # this shell, and what is started from it`, before: "evergate", after: `env; cat .env evergate.env`, says: `(?s)HTTPS_PROXY=http.*SHOPIFY_ACCESS_TOKEN`},
	},

	"docs/operating/alerts.md": {
		{first: "sed 's#runbook_url: #&https://git.example.com/evergate/#' deploy/prometheus/rules.yaml", says: "runbook_url: https://git.example.com/evergate/docs/runbooks/"},
	},
	"docs/operating/authentication.md": {
		{first: "export EVERGATE_LISTEN=unix:/run/evergate/shop.sock", after: "export EVERGATE_SOCKET_PEERS=tests=uid:$(id -u); evergate"},
		{first: "curl --unix-socket /run/evergate/shop.sock http://localhost/admin/api/2026-10/shop.json", says: `"shop":\{`},
		{first: "install -d -m 755 /etc/evergate", before: "unset EVERGATE_SOCKET_PEERS; export EVERGATE_LISTEN=127.0.0.1:8080", after: "evergate; evergate key list", says: "agent"},
		{first: "KEY=$(evergate key operator --policy none)", says: `"state": "fresh"`},
		{first: "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 \\"},
		{first: "export EVERGATE_LISTEN=tls:0.0.0.0:8443", after: "evergate"},
		{first: "curl --cacert server.pem --cert erp.pem --key erp-key.pem https://evergate.internal:8443/admin/api/2026-10/shop.json", says: `"shop":\{`},
	},
	"docs/operating/fleet.md": {
		{first: "evergate simulate --plain --listen 127.0.0.1:4443 --control 127.0.0.1:4444 --shops red-oak,green-hill", before: "unset EVERGATE_UPSTREAM_CA_FILE SHOPIFY_CLIENT_SECRET_FILE", says: "simulated Shopify at"},
		{first: "evergate simulate --print-env --plain --listen 127.0.0.1:4443 >settings", says: `Stored in .*/grants/`},
		{first: "curl http://localhost:8080/admin/api/2026-10/shop.json", says: `"myshopify_domain":"blue-finch`},
		{first: "evergate quit"},
		{first: "redis-server --port 6379 --appendonly yes"},
		{first: "export EVERGATE_STORE_KEY=$(openssl rand -base64 32)", says: `1 carried into redis:`},
		{first: "cat >shops.yaml <<END", says: `(?s)blue-finch\S* +offline +expires.*green-hill\S* +offline.*red-oak\S* +offline.*3 grants in redis:.*, 0 findings`},
		{first: "evergate"},
		{first: "EVERGATE_LISTEN=127.0.0.1:8081 EVERGATE_ADMIN_LISTEN=127.0.0.1:9091 evergate"},
		{
			first: "curl -sS http://localhost:8080/green-hill.myshopify.com/admin/api/2026-10/shop.json",
			says:  `(?s)"myshopify_domain":"green-hill.*"myshopify_domain":"green-hill.*You may only read here`,
		},
		{first: `curl -sS http://127.0.0.1:4444/_sim/chains | jq '.chains[] | select(.shop == "green-hill.myshopify.com").generations | length'`, says: `^2\n$`},
		{first: "evergate quit", says: `"myshopify_domain":"blue-finch`},
		{first: "evergate store export --file grants.archive", says: `3 grants of redis:`},
	},
	"docs/operating/install.md": {
		{first: "curl --fail --location --remote-name PLACE/releases/latest/download/install.sh", not: needsPlace},
		{first: "brew tap-new you/tap", not: needsPlace},
		{first: "tar -xzf evergate_apt.tar.gz -C /srv", not: needsPlace},
		{first: "APT_KEY=apt@example.com scripts/apt-repository /srv/apt evergate_1.2.3_linux_amd64.deb", not: needsPlace},
		{first: `helm install evergate "$(scripts/place PUBLISH_CHARTS)/evergate" --version 1.2.3 --values values.yaml`, not: needsPlace},
		{first: "mkdir -p ~/.config/evergate", not: "it needs macOS"},
	},
	"docs/operating/policy.md": {
		{first: "export EVERGATE_POLICY=read-only", after: "evergate; curl -s -X POST http://localhost:8080/admin/api/2026-10/products.json", says: "You may only read here"},
	},
	"docs/operating/status.md": {
		{first: "evergate status                         # in a terminal; --watch goes on, --json prints what follows", before: "evergate", says: `(?s)All is well.*"verdict"`},
	},
	"docs/operating/store-postgres.md": {
		{first: "export EVERGATE_STORE='postgres://evergate:PASSWORD@db.example.com:5432/evergate?sslmode=verify-full'", not: "it needs a PostgreSQL with TLS: test/postgres runs one"},
		{first: "export EVERGATE_STORE='postgres://evergate:PASSWORD@db.example.com/app?sslmode=verify-full'", not: "it needs the database of an app: test/postgres makes some"},
	},
	"docs/operating/store-kubernetes.md": {
		{first: "export EVERGATE_STORE=kubernetes:evergate-grants        # kubernetes: alone is the pod's own namespace", not: "it needs a cluster: test/kubernetes has one"},
	},
	"docs/operating/store-redis.md": {
		{first: "export EVERGATE_STORE='rediss://evergate:PASSWORD@redis.example.com:6380'", not: "it needs a Redis with TLS: test/redis makes one"},
	},
	"docs/operating/supply-chain.md": {
		{first: "sha256sum --check --ignore-missing checksums.txt", not: needsRelease},
		{first: "evergate version                        # evergate 1.2.3 (commit 0123…, go1.27.4)", not: needsRelease},
		{first: "go version -m /usr/bin/evergate", says: `path\s+evergate/cmd/proxy`},
	},
	"docs/operating/systemd.md": {
		{first: "dpkg -i evergate_linux_amd64.deb        # or: rpm -i evergate_linux_amd64.rpm", not: needsSystem},
		{first: "cat >>/etc/evergate/evergate.env <<'END'", not: needsSystem},
		{first: "install -m 600 /dev/stdin /etc/evergate/credentials/SHOPIFY_CLIENT_SECRET", not: needsSystem},
		{first: "evergate-exec check                     # is everything right? each line that is not says what to do", not: needsSystem},
		{first: "evergate-exec login --paste", not: needsSystem},
		{first: "systemctl disable --now evergate.service", not: needsSystem},
		{first: "install -m 600 /dev/stdin /etc/evergate/credentials/SHOPIFY_CLIENT_SECRET", not: needsSystem},
		{first: "install -d -m 700 /etc/evergate/globex.credentials", not: needsSystem},
	},
	"docs/operating/upgrades.md": {
		{first: "evergate check", before: "export EVERGATE_GRANT=offline; evergate login; evergate", says: `ok +store`},
		{first: "evergate status", says: "All is well"},
		{first: "evergate quit                                       # or: systemctl stop evergate", before: `STORE=$HOME/.local/state/evergate BACKUP=$PLACE/backup`, after: `ls "$BACKUP"`, says: `myshopify.com.json`},
		{first: `cp "$BACKUP"/*.myshopify.com.json "$STORE"/`, before: `rm "$STORE"/*.json`, after: "evergate", says: `grant +offline`},
		{first: "curl -sS -X POST http://localhost:9090/-/refresh", says: `"state": "fresh"`},
	},
}
