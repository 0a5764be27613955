// Package config reads every setting from an environment that is handed to it.
//
// Invariants: one struct is the only list of settings, and its tags are the only place
// where a default or a meaning is written; all mistakes are reported at once, each with
// its remedy; a name that is misspelt is a mistake, not ignored; no secret is ever part of
// an error or of a printed value.
package config

import (
	"log/slog"
	"net/netip"
	"net/url"
	"time"

	"evergate/internal/listen"
	"evergate/internal/token"
	"evergate/internal/trust"
)

// Config is every setting. A field's env tag is the variable's name, envDefault its
// default, help its meaning, group the heading under which it and those behind it are listed; a field of type token.Secret can be given as NAME_FILE instead.
type Config struct {
	ShopName     string       `group:"The shop and its app" env:"SHOPIFY_SHOP" help:"The store: the name before .myshopify.com, or the whole domain. Required, unless EVERGATE_SHOPS_FILE names shops; beside that it is one more shop."`
	ShopsFile    string       `env:"EVERGATE_SHOPS_FILE" help:"A YAML file that names many shops, with what holds for each; read again when it changes. See docs/reference/shops-file.md."`
	ClientID     string       `env:"SHOPIFY_CLIENT_ID" help:"The app's client id, from the Dev Dashboard."`
	ClientSecret token.Secret `env:"SHOPIFY_CLIENT_SECRET" help:"The app's client secret."`
	// PreviousSecret is for the days in which two are valid: Shopify signs callbacks with
	// the oldest one, and refuses it from one moment to the next.
	PreviousSecret token.Secret `env:"SHOPIFY_CLIENT_SECRET_PREVIOUS" help:"While the client secret is being rotated: the other one that is still valid. It is tried when SHOPIFY_CLIENT_SECRET is refused."`
	AccessToken    token.Secret `env:"SHOPIFY_ACCESS_TOKEN" help:"The permanent token of a custom app that was made in the store's admin before 2026."`
	RefreshToken   token.Secret `env:"SHOPIFY_REFRESH_TOKEN" help:"The refresh token of an offline grant that another program obtained. It is used once, if the store is empty; from then on the store holds the grant."`
	Scopes         []string     `env:"SHOPIFY_SCOPES" help:"Scopes that the tools behind Evergate need, comma separated; asked for at login. A token that lacks some is used all the same; the log and the status say which are missing."`

	Grant string `env:"EVERGATE_GRANT" envDefault:"auto" help:"How a token is obtained: client_credentials, offline (a stored grant, made by a login), static, or auto, which infers it from the credentials that are given and from what is stored."`

	Listen       string       `group:"Where tools and operators call" env:"EVERGATE_LISTEN" envDefault:"127.0.0.1:8080" help:"Where tools call: one or more addresses, comma separated; localhost:port for both loopback addresses; unix:/path for a socket; tls:host:port for https, with the certificate of EVERGATE_TLS_CERT_FILE or one of the local authority; shop@address for a listener of one shop. With port 0 a free port is taken and the log says which."`
	UnsafeListen bool         `env:"EVERGATE_UNSAFE_LISTEN" envDefault:"false" help:"Allow a listener that other hosts can reach without a key or a client certificate: whoever reaches it acts as the app."`
	AdminListen  string       `env:"EVERGATE_ADMIN_LISTEN" envDefault:"127.0.0.1:9090" help:"Health, metrics and the status page."`
	AdminKey     token.Secret `env:"EVERGATE_ADMIN_KEY" help:"A client's key that evergate quit shows to the admin listener, which asks for one where callers have to be known (EVERGATE_CLIENT_KEYS_FILE, or the policy none). A sidecar does not read it."`
	AllowedHosts []string     `env:"EVERGATE_ALLOWED_HOSTS" help:"More Host names to accept, comma separated, beside localhost, 127.0.0.1, [::1], SHOP.localhost and the shop's own domain."`
	// A client could otherwise say where links are to lead others.
	TrustedProxies []string `env:"EVERGATE_TRUSTED_PROXIES" help:"Addresses of proxies in front of Evergate, comma separated, single or as ranges such as 10.0.0.0/8: what their X-Forwarded-Proto and X-Forwarded-Host say is where links in answers point. From anybody else these fields are ignored."`

	CAFile  string `env:"EVERGATE_CA_FILE" help:"Write what clients have to trust to this file at the start, for those who cannot run evergate ca: the certificates that this system trusts, and the local CA's. It is public."`
	Connect string `env:"EVERGATE_CONNECT" envDefault:"shops" help:"What listeners for tools do as a forward proxy, for clients whose address cannot be changed (HTTPS_PROXY): shops serves CONNECT to the shop with a certificate of the local authority (evergate ca); tunnel also connects clients to port 443 of other hosts, untouched, but never to this machine or its network; off refuses CONNECT."`

	Policy         string `group:"Who may do what" env:"EVERGATE_POLICY" envDefault:"full" help:"What callers may do: full, read-only (GET, and GraphQL queries), or none, which only a key's own policy lifts."`
	PolicyFile     string `env:"EVERGATE_POLICY_FILE" help:"A JSON file that says which caller may do what, in place of EVERGATE_POLICY; read again when it changes. See docs/operating/policy.md."`
	SocketPeers    string `env:"EVERGATE_SOCKET_PEERS" help:"Who may connect to Unix sockets, comma separated: uid:N, gid:N, user:NAME or group:NAME, with a name for the caller in front if it is to have one, as in agent=uid:1000. Without it a socket is for its owner alone."`
	ClientKeysFile string `env:"EVERGATE_CLIENT_KEYS_FILE" help:"A file with the keys of clients, one a line, as evergate key makes them; read again when it changes. Listeners that other hosts can reach ask for one."`
	TLSCertFile    string `env:"EVERGATE_TLS_CERT_FILE" help:"The certificate of tls: listeners, in PEM form, with those between it and its authority; read again when it changes."`
	TLSKeyFile     string `env:"EVERGATE_TLS_KEY_FILE" help:"Its private key."`
	TLSClientCA    string `env:"EVERGATE_TLS_CLIENT_CA_FILE" help:"The authorities whose client certificates tls: listeners accept instead of a key."`

	CADir string `group:"The local CA" env:"EVERGATE_CA_DIR" help:"The directory where the local CA rests, whose certificates tls: listeners without files and CONNECT show (evergate ca); memory: makes one that ends with the process. Without it ca below $STATE_DIRECTORY or $XDG_STATE_HOME/evergate. It is made when it is first needed."`

	Store            string       `group:"Where a grant rests, and how a merchant gives one" env:"EVERGATE_STORE" help:"Where a grant rests: memory:, file:DIR, or what any number of replicas share: redis://USER:PASSWORD@HOST:PORT (rediss:// with TLS; Sentinel and Cluster, too), postgres://USER:PASSWORD@HOST/DATABASE, or kubernetes:NAMESPACE for Secrets there. Without it the offline grant rests in a file below $STATE_DIRECTORY or $XDG_STATE_HOME/evergate, and the others in memory."`
	StoreLayout      string       `env:"EVERGATE_STORE_LAYOUT" envDefault:"evergate" help:"Whose table a postgres:// store uses: evergate (one of its own, made on first use), or that in which the app keeps its sessions: prisma, shopify-postgresql or rails."`
	StoreKey         token.Secret `env:"EVERGATE_STORE_KEY" help:"32 bytes, as base64 or hex, that encrypt what is stored (AES-256-GCM). A store that replicas share needs it."`
	StoreKeyPrevious token.Secret `env:"EVERGATE_STORE_KEY_PREVIOUS" help:"The key before EVERGATE_STORE_KEY: still read, no more written."`
	PublicURL        string       `env:"EVERGATE_PUBLIC_URL" help:"The https address under which a merchant's browser reaches EVERGATE_LOGIN_LISTEN, for a login from elsewhere: /oauth/start and /oauth/callback."`
	LoginListen      string       `env:"EVERGATE_LOGIN_LISTEN" help:"Where the merchant's pages of EVERGATE_PUBLIC_URL are served, alone: an address for a tunnel or an ingress to lead to."`

	AppName string `env:"EVERGATE_APP_NAME" help:"The app's name, as merchants know it from Shopify, for the pages that they see at a login. Without it those say the app."`

	TokenFile string `env:"EVERGATE_TOKEN_FILE" help:"Keep the current access token in this file, for tools that can only read one (mode 0600, replaced as a whole when there is a new token). Off unless it is set: whoever reads the file holds a key to the shop, and no policy, rate limit or log of Evergate's has a part in what is done with it."`

	TokenWait    time.Duration `group:"How requests are treated" env:"EVERGATE_TOKEN_WAIT" envDefault:"5s" help:"The longest a request waits for a token that is being obtained; then 503."`
	ReplayBuffer Size          `env:"EVERGATE_REPLAY_BUFFER" envDefault:"1MiB" help:"Request bodies up to this size can be sent again after a 401 or a refusal for the rate limit."`

	MaxActiveShops int     `env:"EVERGATE_MAX_ACTIVE_SHOPS" envDefault:"10000" help:"Of how many shops of EVERGATE_SHOPS_FILE something is kept in memory at a time; the one that has not been called for longest makes room. See docs/reference/shops-file.md."`
	MaxRenewals    float64 `env:"EVERGATE_MAX_RENEWALS" envDefault:"50" help:"How many renewals of tokens are begun in a second at most, of all shops together. Hourly tokens need one a second for 2700 shops that are called."`

	MaxConnections int  `env:"EVERGATE_MAX_CONNECTIONS" help:"How many connections tools may have open. When there are as many, a new one takes the place of the one that has waited longest. Without it half of the descriptors that the process may have, or what half of its memory bears, if that is less. See docs/operating/limits.md."`
	MemoryBudget   Size `env:"EVERGATE_MEMORY_BUDGET" help:"How many bytes are held for all tools together: bodies that could be sent again, or that a policy judges. When it is used up, bodies are streamed, and those to be judged get 503. Without it a quarter of the memory that the process may have (GOMEMLIMIT, its cgroup, or half of the machine's)."`

	Pace        string        `env:"EVERGATE_PACE" envDefault:"on" help:"on: a request waits until Shopify's rate limit has room for it, and one that is refused all the same is sent again; replicas that share a store in Redis account for the limits there. local: the same, without accounting for them in Redis. off: nothing waits, and 429 and THROTTLED are passed on."`
	PaceMaxWait time.Duration `env:"EVERGATE_PACE_MAX_WAIT" envDefault:"8s" help:"The longest a request waits for the rate limit; then it is sent, and Shopify's own 429 or THROTTLED is passed on if there is one. Clients that give up after 10 s are common."`

	ShutdownDelay   time.Duration `group:"The end, and the log" env:"EVERGATE_SHUTDOWN_DELAY" envDefault:"0s" help:"After SIGTERM, go on accepting requests for this long."`
	ShutdownTimeout time.Duration `env:"EVERGATE_SHUTDOWN_TIMEOUT" envDefault:"30s" help:"After that, let the requests under way end for at most this long."`

	LogLevel  slog.Level    `env:"EVERGATE_LOG_LEVEL" envDefault:"info" help:"debug, info, warn or error; error is silent in a normal life. POST /-/log-level?level=debug on the admin listener changes it while it runs."`
	AccessLog SamplingRatio `env:"EVERGATE_ACCESS_LOG" envDefault:"off" help:"Log requests, without path, query or body: off, all, or a share such as 0.01. A request that failed is always among them, unless off."`
	LogFormat string        `env:"EVERGATE_LOG_FORMAT" help:"text or json; without it what suits people on a terminal and from run and login, and json from serve elsewhere."`

	UpstreamURL     string        `group:"The way to Shopify" env:"EVERGATE_UPSTREAM_URL" envDefault:"https://{shop}" help:"Where to connect, for tests and gateways; {shop} stands for the shop's domain. The Host sent is always the shop's domain."`
	UpstreamProxy   token.Secret  `env:"EVERGATE_UPSTREAM_PROXY" help:"A forward proxy to reach Shopify through, API and token endpoint alike: http://, https:// or socks5://, with user:password@ if it asks for them. Without it HTTPS_PROXY and NO_PROXY of the environment count."`
	Resolver        string        `env:"EVERGATE_RESOLVER" help:"The name server that knows Shopify's address, where this machine's own files lead the shop's name to Evergate (hostAliases, extra_hosts): an IP address with or without a port, or resolv.conf for those of /etc/resolv.conf. Without it names are looked up as this system does."`
	UpstreamCAFile  string        `env:"EVERGATE_UPSTREAM_CA_FILE" help:"A PEM file with more certificate authorities to trust, beside the system's."`
	UpstreamTimeout time.Duration `env:"EVERGATE_UPSTREAM_TIMEOUT" envDefault:"125s" help:"The longest wait for the header of Shopify's answer, a second more at most; then 504. A GET or HEAD that stays unanswered may be sent a second time some seconds after the first, and is waited for as long from then on. Shopify's edge gives up after 120 s."`

	// What follows is derived from the fields above when all of them are right.

	Shop      token.Shop       // of ShopName
	Base      *url.URL         // of UpstreamURL, for the Shop, or for any where there is none: BaseOf has a shop's
	Roots     *trust.Roots     // nil: the system's
	Listeners []listen.Address // of Listen
	Proxies   []netip.Prefix   // of TrustedProxies
	Admin     listen.Address   // of AdminListen
	Public    *url.URL         // of PublicURL; nil if there is none
	Login     listen.Address   // of LoginListen, if there is a Public
	// Inferred says that Grant was settled by what is given, not by its setting: a stored
	// grant may settle it otherwise.
	Inferred bool
	// Warnings are what looks wrong but may be meant.
	Warnings []error

	// What follows is for the program that a command starts, and set by that command.

	HeldTo       string // a policy for everybody who calls, whatever the settings say
	OnlyShop     string // the one of EVERGATE_SHOPS_FILE that all listeners for tools are for; empty: there is none
	ChildKey     string // a line as of ClientKeysFile, of the key that the program shows
	AuditDenials bool   // a line in the log for each call that is refused

	environProxy *url.URL // of HTTPS_PROXY and NO_PROXY; nil: none
	environName  string   // which of its two spellings it was

	// placeholder says that SHOPIFY_ACCESS_TOKEN holds what `run` gives to the command that it starts, and counts as not set.
	placeholder bool

	files map[string]string // setting → path, for what is given as NAME_FILE
}

// DefaultAdmin is where operators call unless AdminListen says otherwise.
const DefaultAdmin = "127.0.0.1:9090"

// The values of Pace.
const (
	PaceOn    = "on"
	PaceLocal = "local" // each replica by itself
	PaceOff   = "off"
)

// The values of Connect.
const (
	ConnectOff    = "off"
	ConnectShops  = "shops"
	ConnectTunnel = "tunnel"
)

// The values of Grant. TestEverySwitchOverGrantsHasThemAll names what has to know a new one.
const (
	GrantAuto              = "auto"
	GrantClientCredentials = "client_credentials"
	GrantOffline           = "offline"
	GrantStatic            = "static"
)
