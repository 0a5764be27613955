{{/* What sidecar and Deployment have in common. */}}

{{/* The restricted level is set last and whole, so that nothing can take a part of it back. */}}
{{- define "evergate.securityContext" -}}
{{- $context := deepCopy .values.containerSecurityContext -}}
{{- range $field, $value := dict
  "allowPrivilegeEscalation" false
  "capabilities" (dict "drop" (list "ALL"))
  "readOnlyRootFilesystem" true
  "runAsNonRoot" true
  "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- $_ := set $context $field $value -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}

{{/*
What a pod needs for a store on a volume. The volume's root becomes the group's, and
Evergate makes a directory inside it that is its own alone. OnRootMismatch, because the
kubelet would otherwise open that directory to the group at each start, and Evergate
refuses a store that others can enter.
*/}}
{{- define "evergate.fsGroup" -}}
{{- if has .values.store.kind (list "claim" "volume") -}}
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
{{- end -}}
{{- end -}}

{{/* An unprivileged user may listen on the shop's port in this pod's network. It is one of the sysctls that Kubernetes calls safe. */}}
{{- define "evergate.sysctls" -}}
{{- if .values.sidecar.hosts -}}
sysctls:
  - name: net.ipv4.ip_unprivileged_port_start
    value: "443"
{{- end -}}
{{- end -}}

{{- define "evergate.httpProbe" -}}
httpGet:
  path: {{ index . 0 }}
  port: {{ index . 1 }}
{{- end -}}

{{- define "evergate.execProbe" -}}
exec:
  command: {{ concat (list "/evergate" "healthcheck") . | toJson }}
{{- end -}}

{{/*
The times of a probe: those of the values, which the second of the list names, before those of the chart. `evergate
healthcheck` gives up after 5 seconds and says why, which a shorter timeout would keep from being seen.
*/}}
{{- define "evergate.timings" -}}
{{- toYaml (merge (dict) (get (default dict (index . 0).values.probes) (index . 1) | default dict) (index . 2)) -}}
{{- end -}}

{{- define "evergate.offline" -}}
{{- $offline := or (eq .values.grant "offline") (hasKey (include "evergate.secretKeys" . | fromJson) "SHOPIFY_REFRESH_TOKEN") (dig "stored" false .values.shopsFile) -}}
{{- range $_, $of := include "evergate.shopsSaid" . | fromJson -}}
{{- $offline = or $offline (eq (toString $of.grant) "offline") (hasKey $of "refresh_token_file") -}}
{{- end -}}
{{- $offline -}}
{{- end -}}

{{/* What the shops file says of each shop, and under "defaults" of all. */}}
{{- define "evergate.shopsSaid" -}}
{{- $said := dict "defaults" (dig "defaults" dict .values.shopsFile | default dict) -}}
{{- range $shop, $of := dig "shops" dict .values.shopsFile | default dict -}}
{{- $_ := set $said (printf "shops.%s" $shop) (default dict $of) -}}
{{- end -}}
{{- $said | toJson -}}
{{- end -}}

{{/* A ConfigMap can be read by many who may not read Secrets. */}}
{{- define "evergate.checkShopsFile" -}}
{{- range $of, $said := include "evergate.shopsSaid" . | fromJson -}}
{{- range $key := list "client_secret" "client_secret_previous" "access_token" "refresh_token" -}}
{{- if hasKey $said $key -}}
{{- fail (printf "evergate: shopsFile.%s.%s: a credential would stand in the open in a ConfigMap: give it as %s_file, with the path of a file that secrets or extraVolumes put there" $of $key $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Values that are right one by one and wrong together. */}}
{{- define "evergate.check" -}}
{{- $v := .values -}}
{{- range $name, $_ := $v.settings -}}
{{- include "evergate.checkName" $name -}}
{{- end -}}
{{- if not (or $v.shop $v.shopsFile) -}}
{{- fail "evergate: shop is not set: give the name of the store before .myshopify.com, for example shop=acme; or name many shops with shopsFile" -}}
{{- end -}}
{{- if and $v.secrets.inline $v.secrets.existingSecret -}}
{{- fail "evergate: secrets.inline and secrets.existingSecret are both set: keep one" -}}
{{- end -}}
{{- if and $v.secrets.keys (not $v.secrets.existingSecret) -}}
{{- fail "evergate: secrets.keys says where things are in secrets.existingSecret, which is not set" -}}
{{- end -}}
{{- $keys := include "evergate.secretKeys" . | fromJson -}}
{{- if and $v.clientId (hasKey $keys "SHOPIFY_CLIENT_ID") -}}
{{- fail "evergate: the client id is given twice, as clientId and under secrets: keep one" -}}
{{- end -}}
{{- if and (not $keys) (ne $v.grant "offline") $v.shop -}}
{{- fail "evergate: there are no credentials: set secrets.existingSecret to the name of a Secret that has them, or secrets.inline" -}}
{{- end -}}
{{- $kept := or (ne $v.store.kind "none") (hasKey $v.settings "EVERGATE_STORE") -}}
{{- if and (ne $v.store.kind "none") (hasKey $v.settings "EVERGATE_STORE") -}}
{{- fail "evergate: store.kind and settings.EVERGATE_STORE both say where a grant rests: keep one" -}}
{{- end -}}
{{- if eq (include "evergate.storeIsShared" .) "true" -}}
{{- if not (or (hasKey $keys "EVERGATE_STORE_KEY") (hasKey $v.settings "EVERGATE_STORE_KEY_FILE")) -}}
{{- fail (printf "evergate: store.kind=%s keeps grants encrypted, and there is no key: make one with `openssl rand -base64 32`, put it into the Secret with the credentials, and say where under secrets.keys.EVERGATE_STORE_KEY" $v.store.kind) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $v.store.kind "database") (not $v.store.existingSecret) -}}
{{- fail "evergate: store.kind=database needs an address: put redis://… or postgres://… into a Secret and set store.existingSecret to its name" -}}
{{- end -}}
{{- if and (eq (include "evergate.offline" .) "true") (not $kept) -}}
{{- fail "evergate: an offline grant changes with each renewal and is lost for good if it is not kept: set store.kind=claim" -}}
{{- end -}}
{{- end -}}
