package kubernetes

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// right are values that the chart takes; each case below makes one thing of them wrong.
const right = `
shop: acme
clientId: id
secrets: {existingSecret: shopify-app}
deployment: {unsafeListen: true}
image: {registry: registry.example.com}
`

// Helm merges a later file of values into an earlier one, so a case says only what is wrong.
func TestWrongValuesAreRefusedWithTheRemedy(t *testing.T) {
	if res := renderWith(t, ""); res.code != 0 {
		t.Fatalf("the right values are refused: %v", res)
	}
	for name, tc := range map[string]struct{ wrong, says string }{
		// Values that are wrong by themselves: the schema.
		"misspelt":              {`shpo: acme`, "additional properties 'shpo' not allowed"},
		"misspelt_below":        {`deployment: {unsafe: true}`, "'/deployment': additional properties 'unsafe' not allowed"},
		"shop_as_url":           {`shop: https://acme.myshopify.com`, "'/shop': 'https://acme.myshopify.com' does not match pattern"},
		"shop_as_number":        {`shop: 42`, "'/shop': got number, want string"},
		"unknown_grant":         {`grant: password`, "'/grant': value must be one of 'auto', 'client_credentials', 'offline', 'static'"},
		"scopes_in_one_string":  {`scopes: read_products,write_products`, "'/scopes': got string, want array"},
		"unknown_secret":        {`secrets: {keys: {SHOPIFY_SECRET: x}}`, "'/secrets/keys': additional properties 'SHOPIFY_SECRET' not allowed"},
		"empty_inline_secret":   {`secrets: {inline: {SHOPIFY_CLIENT_SECRET: ""}}`, "'/secrets/inline/SHOPIFY_CLIENT_SECRET': minLength"},
		"secret_name_as_list":   {`secrets: {existingSecret: [a]}`, "'/secrets/existingSecret': got array, want string"},
		"switch_for_a_setting":  {`settings: {EVERGATE_PACE: off}`, "'/settings/EVERGATE_PACE': got boolean, want string"},
		"number_for_a_setting":  {`settings: {EVERGATE_REPLAY_BUFFER: 1024}`, "'/settings/EVERGATE_REPLAY_BUFFER': got number, want string"},
		"probe_misspelt":        {`probes: {readyness: {periodSeconds: 1}}`, "'/probes': additional properties 'readyness' not allowed"},
		"probe_with_a_unit":     {`probes: {liveness: {periodSeconds: 5s}}`, "'/probes/liveness/periodSeconds': got string, want integer"},
		"start_without_end":     {`probes: {startup: {failureThreshold: 3}}`, "'/probes/startup': additional properties 'failureThreshold' not allowed"},
		"success_of_liveness":   {`probes: {liveness: {successThreshold: 2}}`, "'/probes/liveness': additional properties 'successThreshold' not allowed"},
		"registry_as_url":       {`image: {registry: "https://ghcr.io/"}`, "'/image/registry': 'https://ghcr.io/' does not match pattern"},
		"annotation_as_switch":  {`deployment: {annotations: {a: true}}`, "'/deployment/annotations/a': got boolean, want string"},
		"label_of_a_service":    {`service: {labels: {a: 1}}`, "'/service/labels/a': got number, want string"},
		"manifest_as_number":    {`extraManifests: [1]`, "'/extraManifests/0': got number, want string or object"},
		"relabelings_as_map":    {`monitoring: {relabelings: {action: drop}}`, "'/monitoring/relabelings': got object, want array"},
		"setting_of_no_name":    {`settings: {"a b": /bin}`, "'/settings': additional properties 'a b' not allowed"},
		"login_by_http":         {`login: {publicUrl: http://login.example.com}`, "'/login/publicUrl': 'http://login.example.com' does not match pattern"},
		"login_without_offline": {`login: {publicUrl: https://login.example.com}`, "login.publicUrl is for the grant that a login obtains: set grant=offline"},
		"unknown_store":         {`store: {kind: redis}`, "'/store/kind': value must be one of 'none', 'emptyDir', 'claim', 'volume'"},
		"size_without_unit":     {`store: {size: 16}`, "'/store/size': got number, want string"},
		"no_access_mode":        {`store: {accessModes: []}`, "'/store/accessModes': minItems"},
		"read_only_claim":       {`store: {accessModes: [ReadOnlyMany]}`, "'/store/accessModes/0': value must be one of"},
		"short_digest":          {`image: {digest: sha256:abc}`, "'/image/digest': 'sha256:abc' does not match pattern"},
		"pull_policy":           {`image: {pullPolicy: always}`, "'/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'"},
		"low_port":              {`admin: {port: 80}`, "'/admin/port': minimum: got 80, want 1,024"},
		"port_as_string":        {`sidecar: {port: "8080"}`, "'/sidecar/port': got string, want integer"},
		"negative_replicas":     {`deployment: {replicas: -1}`, "'/deployment/replicas': minimum: got -1, want 0"},
		"duration_with_unit":    {`deployment: {shutdownDelaySeconds: 5s}`, "'/deployment/shutdownDelaySeconds': got string, want integer"},
		"native_as_word":        {`sidecar: {native: "yes"}`, "'/sidecar/native': value must be one of 'auto', true, false"},
		"wait_for_nothing":      {`sidecar: {waitFor: nothing}`, "'/sidecar/waitFor': value must be one of 'token', 'listener'"},
		"memory_limit_percent":  {`goMemLimitPercent: 120`, "'/goMemLimitPercent': maximum: got 120, want 100"},
		"external_name":         {`service: {type: ExternalName}`, "'/service/type': value must be one of 'ClusterIP', 'NodePort', 'LoadBalancer'"},
		"budget_in_words":       {`podDisruptionBudget: {maxUnavailable: one}`, "'/podDisruptionBudget/maxUnavailable'"},
		"processor_in_words":    {`autoscaling: {targetCPU: half}`, "'/autoscaling/targetCPU': 'half' does not match pattern"},
		"processor_of_nothing":  {`autoscaling: {targetCPU: 0}`, "'/autoscaling/targetCPU': exclusiveMinimum"},
		"interval":              {`monitoring: {interval: 30}`, "'/monitoring/interval': got number, want string"},
		"upper_case_name":       {`fullnameOverride: Evergate`, "'/fullnameOverride': 'Evergate' does not match pattern"},
		"label_as_number":       {`commonLabels: {version: 2}`, "'/commonLabels/version': got number, want string"},
		"pull_secret_as_string": {`imagePullSecrets: [registry]`, "'/imagePullSecrets/0': got string, want object"},
		"resources_misspelt":    {`resources: {limit: {memory: 1Gi}}`, "'/resources': additional properties 'limit' not allowed"},

		// Values that are wrong together: the templates.
		"no_shop":                  {`shop: ""`, "shop is not set: give the name"},
		"no_credentials":           {`secrets: {existingSecret: ""}`, "there are no credentials: set secrets.existingSecret"},
		"secret_twice":             {`secrets: {inline: {SHOPIFY_CLIENT_SECRET: x}}`, "secrets.inline and secrets.existingSecret are both set: keep one"},
		"keys_of_no_secret":        {`secrets: {existingSecret: "", keys: {SHOPIFY_CLIENT_SECRET: x}}`, "secrets.existingSecret, which is not set"},
		"client_id_twice":          {`secrets: {keys: {SHOPIFY_CLIENT_ID: id, SHOPIFY_CLIENT_SECRET: s}}`, "the client id is given twice"},
		"credential_in_the_open":   {`settings: {SHOPIFY_CLIENT_SECRET: shpss_1}`, "settings.SHOPIFY_CLIENT_SECRET: a credential would stand in the open"},
		"setting_with_a_value":     {`settings: {EVERGATE_LISTEN: "0.0.0.0:8080"}`, "settings.EVERGATE_LISTEN: the chart sets this itself"},
		"setting_of_a_file":        {`settings: {SHOPIFY_CLIENT_SECRET_FILE: /x}`, "settings.SHOPIFY_CLIENT_SECRET_FILE: the chart sets this itself"},
		"unknown_setting":          {`settings: {EVERGATE_PACES: "off"}`, "settings.EVERGATE_PACES is no setting of Evergate 0.1.0: did you mean EVERGATE_PACE?"},
		"setting_in_lower_case":    {`settings: {EVERGATE_log_level: debug}`, "did you mean EVERGATE_LOG_LEVEL?"},
		"unknown_shopify_setting":  {`settings: {SHOPIFY_PACE_MAX_WAIT: 1s}`, "did you mean EVERGATE_PACE_MAX_WAIT?"},
		"setting_without_prefix":   {`settings: {LOG_LEVEL: debug}`, "did you mean EVERGATE_LOG_LEVEL?"},
		"foreign_setting":          {`settings: {PATH: /bin}`, "settings.PATH is no setting of Evergate 0.1.0: there are EVERGATE_ACCESS_LOG"},
		"setting_like_no_other":    {`settings: {EVERGATE_FLUX: "1"}`, "there are EVERGATE_ACCESS_LOG"},
		"image_that_is_nowhere":    {`image: {registry: ""}`, "set image.registry to where it is"},
		"open_listener":            {`deployment: {unsafeListen: false}`, "would act as your app for everybody in the cluster who calls it"},
		"certificate_is_no_door":   {"deployment: {unsafeListen: false}\ntls: {existingSecret: tls}", "would act as your app for everybody in the cluster who calls it"},
		"authority_without_cert":   {`tls: {clientCASecret: ca}`, "tls.clientCASecret needs a certificate of our own"},
		"offline_in_memory":        {`grant: offline`, "lost for good if it is not kept: set store.kind=claim"},
		"refresh_token_in_memory":  {`secrets: {keys: {SHOPIFY_CLIENT_SECRET: s, SHOPIFY_REFRESH_TOKEN: t}}`, "lost for good if it is not kept"},
		"two_stores":               {"store: {kind: claim}\nsettings: {EVERGATE_STORE: \"memory:\"}", "both say where a grant rests: keep one"},
		"store_of_the_sidecar":     {`store: {kind: volume}`, "store.kind=volume is for the sidecar"},
		"replicas_on_one_volume":   {"store: {kind: claim}\ndeployment: {replicas: 2}", "several replicas cannot share a volume that one node at a time has"},
		"autoscaled_on_one_volume": {"store: {kind: claim}\nautoscaling: {enabled: true}", "several replicas cannot share a volume that one node at a time has"},
		"grant_on_two_empty_dirs":  {"grant: offline\nstore: {kind: emptyDir}\ndeployment: {replicas: 2}", "several replicas with a store each, a memory: or a file: or an emptyDir, would break the offline grant"},
		"grant_on_two_files":       {"grant: offline\nsettings: {EVERGATE_STORE: \"file:/tmp/x\"}\ndeployment: {replicas: 2}", "set store.kind=database or store.kind=kubernetes"},
		"autoscaled_in_memory":     {"grant: offline\nsettings: {EVERGATE_STORE: \"memory:\"}\nautoscaling: {enabled: true}", "set store.kind=database or store.kind=kubernetes"},
		"secrets_without_a_key":    {`store: {kind: kubernetes}`, "store.kind=kubernetes keeps grants encrypted, and there is no key"},
		"database_without_a_key":   {`store: {kind: database, existingSecret: grants}`, "store.kind=database keeps grants encrypted, and there is no key"},
		"database_without_address": {"store: {kind: database}\nsettings: {EVERGATE_STORE_KEY_FILE: /key}", "store.kind=database needs an address"},
		"grants_for_every_pod":     {"store: {kind: kubernetes}\nsettings: {EVERGATE_STORE_KEY_FILE: /key}\nserviceAccount: {create: false}", "every pod of the namespace that has no account of its own could read the grants"},
		"stored_shops_in_memory":   {`shopsFile: {stored: true}`, "lost for good if it is not kept"},
		"stored_shops_apart":       {"shopsFile: {stored: true}\nstore: {kind: emptyDir}\ndeployment: {replicas: 2}", "set store.kind=database or store.kind=kubernetes"},
		"offline_shop_apart":       {"shopsFile: {shops: {beta: {grant: offline}}}\nstore: {kind: emptyDir}\nautoscaling: {enabled: true}", "set store.kind=database or store.kind=kubernetes"},
		"token_in_the_open":        {`shopsFile: {shops: {beta: {access_token: shpat_1}}}`, "shopsFile.shops.beta.access_token: a credential would stand in the open"},
		"secret_in_the_defaults":   {`shopsFile: {defaults: {client_secret: shpss_1}}`, "shopsFile.defaults.client_secret: a credential would stand in the open"},
		"shops_file_misspelt":      {`shopsFile: {shop: {beta: {}}}`, "'/shopsFile': additional properties 'shop' not allowed"},
		"two_shops_files":          {"shopsFile: {shops: {beta: }}\nsettings: {EVERGATE_SHOPS_FILE: /x}", "settings.EVERGATE_SHOPS_FILE: the chart sets this itself"},
		"two_shared_stores":        {"store: {kind: kubernetes}\nsettings: {EVERGATE_STORE: \"redis://r\", EVERGATE_STORE_KEY_FILE: /key}", "both say where a grant rests: keep one"},
		"pod_monitor_of_loopback":  {`monitoring: {podMonitor: true}`, "monitoring.podMonitor needs admin.exposed=true"},
		"memory_limit_unit":        {`resources: {limits: {memory: 1Ti}}`, "resources.limits.memory=1Ti: write it with Ki, Mi, Gi, k, M, G"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := renderWith(t, tc.wrong)
			if res.code == 0 || !strings.Contains(res.stderr, tc.says) {
				t.Errorf("want a refusal that says %q, got exit %d: %s", tc.says, res.code, res.stderr)
			}
		})
	}
}

func TestSecretsAreNoStoreOfASidecar(t *testing.T) {
	t.Parallel()
	res := helm(t, "template", "shop", appChart(t), "--set", "evergate.store.kind=kubernetes", "--set", "evergate.settings.EVERGATE_STORE_KEY_FILE=/key")
	if res.code == 0 || !strings.Contains(res.stderr, "store.kind=kubernetes is for the Deployment") {
		t.Errorf("want a refusal, got %v", res)
	}
}

// What cannot be judged here is let through.
func TestValuesThatOthersKnowAreTaken(t *testing.T) {
	for name, tc := range map[string]struct{ values, has string }{
		"telemetry":        {`settings: {OTEL_SERVICE_NAME: shop}`, `name: OTEL_SERVICE_NAME`},
		"file_of_a_secret": {`settings: {EVERGATE_STORE_KEY_FILE: /x}`, `name: EVERGATE_STORE_KEY_FILE`},
		"image_on_nodes":   {`image: {registry: "", repository: docker.io/library/evergate}`, `image: docker.io/library/evergate:`},
		"image_by_name":    {`image: {repository: team/gate, tag: "1"}`, `image: registry.example.com/team/gate:1`},
		"of_a_newer_image": {`extraEnv: [{name: EVERGATE_FLUX, value: "1"}]`, `name: EVERGATE_FLUX`},
		// As after helm upgrade --reuse-values with those of an older chart.
		"older_values": {"probes: null\nextraManifests: null\ncommonAnnotations: null\nmonitoring: {serviceMonitor: true, relabelings: null}\ndeployment: {labels: null, annotations: null}\nservice: {labels: null}", `kind: ServiceMonitor`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if res := renderWith(t, tc.values); res.code != 0 || !strings.Contains(res.stdout, tc.has) {
				t.Errorf("want %q, got %v", tc.has, res)
			}
		})
	}
}

func renderWith(t *testing.T, wrong string) result {
	t.Helper()
	dir := t.TempDir()
	args := []string{"template", "shop", chart}
	for name, text := range map[string]string{"1.yaml": right, "2.yaml": wrong} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return helm(t, append(args, "--values", filepath.Join(dir, "1.yaml"), "--values", filepath.Join(dir, "2.yaml"))...)
}

// The container's limit of memory, as people write it, in percent.
func TestGoKeepsBelowTheLimitOfMemory(t *testing.T) {
	t.Parallel()
	for limit, want := range map[string]string{
		"128Mi": "104857KiB", "1Gi": "838860KiB", "1.5Gi": "1258291KiB", "131072Ki": "104857KiB",
		"100M": "78125KiB", "1G": "781250KiB", "100000k": "78125KiB", "134217728": "104857KiB",
	} {
		t.Run(limit, func(t *testing.T) {
			t.Parallel()
			res := renderWith(t, `resources: {limits: {memory: "`+limit+`"}}`)
			if !strings.Contains(res.stdout, "- name: GOMEMLIMIT\n              value: \""+want+"\"") {
				t.Errorf("no GOMEMLIMIT of %s: %v", want, res.stderr)
			}
		})
	}
	if res := renderWith(t, `resources: {limits: null}`); res.code != 0 || strings.Contains(res.stdout, "GOMEMLIMIT") {
		t.Errorf("without a limit there is one for Go: %v", res)
	}
}
