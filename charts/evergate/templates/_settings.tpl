{{/*
The settings of Evergate, as environment and files. Secrets are mounted as directories,
never with subPath: only a directory is renewed when the Secret changes.
*/}}

{{/* Which setting is under which key of the Secret with the credentials, as JSON. */}}
{{- define "evergate.secretKeys" -}}
{{- $keys := dict -}}
{{- if .values.secrets.inline -}}
{{- range $setting, $_ := .values.secrets.inline -}}
{{- $_ := set $keys $setting (include "evergate.kebab" $setting) -}}
{{- end -}}
{{- else if .values.secrets.existingSecret -}}
{{- $keys = .values.secrets.keys | deepCopy -}}
{{- if not $keys -}}
{{- $keys = dict "SHOPIFY_CLIENT_SECRET" "client-secret" -}}
{{- if not .values.clientId -}}
{{- $_ := set $keys "SHOPIFY_CLIENT_ID" "client-id" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $keys | toJson -}}
{{- end -}}

{{/* A setting's file name: SHOPIFY_CLIENT_SECRET is in client-secret. */}}
{{- define "evergate.kebab" -}}
{{- . | trimPrefix "SHOPIFY_" | trimPrefix "EVERGATE_" | lower | replace "_" "-" -}}
{{- end -}}

{{- define "evergate.secretFile" -}}
/run/secrets/evergate/{{ include "evergate.kebab" . }}
{{- end -}}

{{/* The shops file, in which what is said once for the chart are the defaults if there is no shop beside it. */}}
{{- define "evergate.shopsFile" -}}
{{- $v := .values -}}
{{- $file := deepCopy $v.shopsFile -}}
{{- if not $v.shop -}}
{{- $more := dict -}}
{{- if $v.clientId -}}{{- $_ := set $more "client_id" $v.clientId -}}{{- end -}}
{{- if ne $v.grant "auto" -}}{{- $_ := set $more "grant" $v.grant -}}{{- end -}}
{{- if $v.scopes -}}{{- $_ := set $more "scopes" $v.scopes -}}{{- end -}}
{{- range $setting, $key := include "evergate.secretKeys" . | fromJson -}}
{{- if has $setting (list "SHOPIFY_CLIENT_ID" "SHOPIFY_CLIENT_SECRET" "SHOPIFY_CLIENT_SECRET_PREVIOUS") -}}
{{- $_ := set $more (printf "%s_file" (trimPrefix "SHOPIFY_" $setting | lower)) (include "evergate.secretFile" $setting) -}}
{{- end -}}
{{- end -}}
{{- $defaults := default dict $file.defaults -}}
{{- range $name, $value := $more -}}
{{- $plain := trimSuffix "_file" $name -}}
{{- if not (or (hasKey $defaults $plain) (hasKey $defaults (printf "%s_file" $plain))) -}}
{{- $_ := set $defaults $name $value -}}
{{- end -}}
{{- end -}}
{{- if $defaults -}}{{- $_ := set $file "defaults" $defaults -}}{{- end -}}
{{- end -}}
{{- toYaml $file -}}
{{- end -}}

{{- define "evergate.secretName" -}}
{{- if .values.secrets.existingSecret -}}
{{- .values.secrets.existingSecret -}}
{{- else -}}
{{- include "evergate.fullname" . -}}
{{- end -}}
{{- end -}}

{{/*
80 % of 128Mi is 104857KiB. It is computed, because the downward API can hand on a limit
but no part of it, and a limit that the heap may fill leaves nothing for the rest.
*/}}
{{- define "evergate.goMemLimit" -}}
{{- $limit := dig "limits" "memory" "" .values.resources | toString -}}
{{- if $limit -}}
{{- if not (regexMatch "^[0-9]+(\\.[0-9]+)?(Ki|Mi|Gi|k|M|G)?$" $limit) -}}
{{- fail (printf "evergate: resources.limits.memory=%s: write it with Ki, Mi, Gi, k, M, G or as bytes, for example 128Mi" $limit) -}}
{{- end -}}
{{- $unit := regexFind "[A-Za-z]+$" $limit -}}
{{- $bytes := index (dict "" 1 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "k" 1000 "M" 1000000 "G" 1000000000) $unit -}}
{{- printf "%dKiB" (mulf (float64 (trimSuffix $unit $limit)) $bytes (divf .values.goMemLimitPercent 102400) | int64) -}}
{{- end -}}
{{- end -}}

{{/* Names that only the chart sets, because something else depends on them. */}}
{{- define "evergate.reserved" -}}
SHOPIFY_SHOP SHOPIFY_SCOPES EVERGATE_SHOPS_FILE EVERGATE_GRANT EVERGATE_LISTEN EVERGATE_UNSAFE_LISTEN EVERGATE_ADMIN_LISTEN EVERGATE_ALLOWED_HOSTS EVERGATE_SHUTDOWN_DELAY EVERGATE_SHUTDOWN_TIMEOUT EVERGATE_CLIENT_KEYS_FILE EVERGATE_TLS_CERT_FILE EVERGATE_TLS_KEY_FILE EVERGATE_TLS_CLIENT_CA_FILE EVERGATE_PUBLIC_URL EVERGATE_LOGIN_LISTEN
{{- end -}}

{{/* What must not stand in the open in a pod's environment. */}}
{{- define "evergate.secretSettings" -}}
SHOPIFY_CLIENT_ID SHOPIFY_CLIENT_SECRET SHOPIFY_CLIENT_SECRET_PREVIOUS SHOPIFY_ACCESS_TOKEN SHOPIFY_REFRESH_TOKEN EVERGATE_STORE_KEY EVERGATE_STORE_KEY_PREVIOUS EVERGATE_ADMIN_KEY EVERGATE_UPSTREAM_PROXY
{{- end -}}

{{/*
Evergate refuses to start with a name that it does not know, in a pod that nobody looks at. OpenTelemetry's names are
its own affair.
*/}}
{{- define "evergate.checkName" -}}
{{- $known := splitList " " (include "evergate.knownSettings" .) -}}
{{- if not (or (has . $known) (hasPrefix "OTEL_" .)) -}}
{{- $near := include "evergate.nearest" (list . $known) -}}
{{- fail (printf "evergate: settings.%s is no setting of Evergate %s: %s (one that only a newer image has goes into extraEnv)" . (include "evergate.appVersion" .) (ternary (printf "did you mean %s?" $near) (printf "there are %s" (join ", " $known)) (ne $near ""))) -}}
{{- end -}}
{{- end -}}

{{/* The name that has most pairs of letters in common with the first of the list; empty if that is less than two thirds of them. */}}
{{- define "evergate.nearest" -}}
{{- $pairs := include "evergate.pairs" (index . 0 | upper) | splitList " " -}}
{{- $best := "" -}}
{{- $most := 66 -}}
{{- range $candidate := index . 1 -}}
{{- $theirs := include "evergate.pairs" $candidate | splitList " " -}}
{{- $common := 0 -}}
{{- range $pairs -}}{{- if has . $theirs -}}{{- $common = add1 $common -}}{{- end -}}{{- end -}}
{{- $share := div (mul 200 $common) (add (len $pairs) (len $theirs)) -}}
{{- if gt (int $share) (int $most) -}}{{- $most = $share -}}{{- $best = $candidate -}}{{- end -}}
{{- end -}}
{{- $best -}}
{{- end -}}

{{- define "evergate.pairs" -}}
{{- $name := trimPrefix "SHOPIFY_" (trimPrefix "EVERGATE_" .) -}}
{{- $pairs := list -}}
{{- range $i := until (sub (len $name) 1 | int) -}}
{{- $pairs = append $pairs (substr $i (add $i 2 | int) $name) -}}
{{- end -}}
{{- join " " $pairs -}}
{{- end -}}

{{/* What is the same for sidecar and Deployment. It takes .listen, .adminListen and .more, a dict, too. */}}
{{- define "evergate.env" -}}
{{- $v := .values -}}
{{- $env := dict "EVERGATE_LISTEN" .listen "EVERGATE_ADMIN_LISTEN" .adminListen -}}
{{- if $v.shop -}}
{{- $_ := merge $env (dict "SHOPIFY_SHOP" $v.shop "EVERGATE_GRANT" $v.grant) -}}
{{- if $v.clientId -}}{{- $_ := set $env "SHOPIFY_CLIENT_ID" $v.clientId -}}{{- end -}}
{{- if $v.scopes -}}{{- $_ := set $env "SHOPIFY_SCOPES" (join "," $v.scopes) -}}{{- end -}}
{{- end -}}
{{- if $v.shopsFile -}}{{- $_ := set $env "EVERGATE_SHOPS_FILE" "/etc/evergate/shops/shops.yaml" -}}{{- end -}}
{{- range $setting, $key := include "evergate.secretKeys" . | fromJson -}}
{{- if or $v.shop (not (hasPrefix "SHOPIFY_" $setting)) -}}
{{- $_ := set $env (printf "%s_FILE" $setting) (include "evergate.secretFile" $setting) -}}
{{- end -}}
{{- end -}}
{{- if eq (include "evergate.storeHasVolume" .) "true" -}}{{- $_ := set $env "EVERGATE_STORE" "file:/data/evergate" -}}{{- end -}}
{{- if eq $v.store.kind "kubernetes" -}}{{- $_ := set $env "EVERGATE_STORE" (printf "kubernetes:%s" (include "evergate.storeNamespace" .)) -}}{{- end -}}
{{- with include "evergate.goMemLimit" . -}}{{- $_ := set $env "GOMEMLIMIT" . -}}{{- end -}}
{{- range $name, $value := .more -}}{{- $_ := set $env $name $value -}}{{- end -}}
{{- $reserved := splitList " " (include "evergate.reserved" .) -}}
{{- $secrets := splitList " " (include "evergate.secretSettings" .) -}}
{{- range $name, $value := $v.settings -}}
{{- if has $name $secrets -}}
{{- fail (printf "evergate: settings.%s: a credential would stand in the open in every pod: give it under secrets" $name) -}}
{{- end -}}
{{- if or (has $name $reserved) (hasKey $env $name) -}}
{{- fail (printf "evergate: settings.%s: the chart sets this itself, from a value of its own: see its README" $name) -}}
{{- end -}}
{{- $_ := set $env $name $value -}}
{{- end -}}
{{- range $name, $value := $env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- if eq $v.store.kind "database" }}
- name: EVERGATE_STORE
  valueFrom:
    secretKeyRef:
      name: {{ $v.store.existingSecret }}
      key: {{ $v.store.addressKey }}
{{- end }}
{{- with $v.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "evergate.volumeMounts" -}}
{{- if ne (include "evergate.secretKeys" .) "{}" }}
- name: evergate-secrets
  mountPath: /run/secrets/evergate
  readOnly: true
{{- end }}
{{- if .values.shopsFile }}
- name: evergate-shops
  mountPath: /etc/evergate/shops
  readOnly: true
{{- end }}
{{- if .deployment }}
{{- if .values.authentication.clientKeysSecret }}
- name: evergate-client-keys
  mountPath: /run/secrets/evergate-client-keys
  readOnly: true
{{- end }}
{{- if .values.tls.existingSecret }}
- name: evergate-tls
  mountPath: /run/secrets/evergate-tls
  readOnly: true
{{- end }}
{{- if .values.tls.clientCASecret }}
- name: evergate-client-ca
  mountPath: /run/secrets/evergate-client-ca
  readOnly: true
{{- end }}
{{- end }}
{{- if and .values.sidecar.hosts (not .deployment) }}
- name: evergate-trust
  mountPath: /run/evergate/trust
{{- end }}
{{- if eq (include "evergate.storeHasVolume" .) "true" }}
- name: {{ include "evergate.storeVolume" . }}
  mountPath: /data
{{- end }}
{{- with .values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "evergate.storeHasVolume" -}}
{{- has .values.store.kind (list "emptyDir" "claim" "volume") -}}
{{- end -}}

{{/* Replicas on any number of nodes can use it at once. */}}
{{- define "evergate.storeIsShared" -}}
{{- has .values.store.kind (list "kubernetes" "database") -}}
{{- end -}}

{{- define "evergate.storeNamespace" -}}
{{- default .root.Release.Namespace .values.store.namespace -}}
{{- end -}}

{{- define "evergate.storeVolume" -}}
{{- if eq .values.store.kind "volume" -}}{{ .values.store.volumeName }}{{- else -}}evergate-data{{- end -}}
{{- end -}}

{{/*
0444: the files belong to root, and only Evergate's container mounts them. With 0400 the
pod would need an fsGroup, which would change the volumes of your containers as well.
*/}}
{{- define "evergate.volumeList" -}}
{{- $keys := include "evergate.secretKeys" . | fromJson }}
{{- if $keys }}
- name: evergate-secrets
  secret:
    secretName: {{ include "evergate.secretName" . }}
    defaultMode: 0444
    items:
      {{- range $setting, $key := $keys }}
      - key: {{ $key | quote }}
        path: {{ include "evergate.kebab" $setting }}
      {{- end }}
{{- end }}
{{- if .values.shopsFile }}
- name: evergate-shops
  configMap:
    name: {{ include "evergate.shopsName" . }}
{{- end }}
{{- if .deployment }}
{{- include "evergate.secretVolume" (list "evergate-client-keys" .values.authentication.clientKeysSecret (list .values.authentication.clientKeysKey "client-keys")) }}
{{- include "evergate.secretVolume" (list "evergate-tls" .values.tls.existingSecret (list "tls.crt" "tls.crt") (list "tls.key" "tls.key")) }}
{{- include "evergate.secretVolume" (list "evergate-client-ca" .values.tls.clientCASecret (list .values.tls.clientCAKey "ca.crt")) }}
{{- end }}
{{- if eq .values.store.kind "claim" }}
- name: evergate-data
  persistentVolumeClaim:
    claimName: {{ default (include "evergate.fullname" .) .values.store.existingClaim }}
{{- else if eq .values.store.kind "emptyDir" }}
- name: evergate-data
  emptyDir:
    sizeLimit: 16Mi
{{- end }}
{{- if and .values.sidecar.hosts (not .deployment) }}
- name: evergate-trust
  emptyDir:
    sizeLimit: 4Mi
{{- end }}
{{- with .values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "evergate.shopsName" -}}
{{- printf "%s-shops" (include "evergate.fullname" . | trunc 57 | trimSuffix "-") -}}
{{- end -}}

{{- define "evergate.secretVolume" -}}
{{- if index . 1 }}
- name: {{ index . 0 }}
  secret:
    secretName: {{ index . 1 }}
    defaultMode: 0444
    items:
      {{- range rest (rest .) }}
      - key: {{ index . 0 | quote }}
        path: {{ index . 1 }}
      {{- end }}
{{- end }}
{{- end -}}
