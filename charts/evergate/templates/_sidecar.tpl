{{/*
The sidecar, for other charts. In the pod's spec:

  initContainers:
    {{- include "evergate.sidecar" . | nindent 4 }}
  containers:
    {{- include "evergate.sidecarFallback" . | nindent 4 }}
  volumes:
    {{- include "evergate.volumes" . | nindent 4 }}
  securityContext:
    {{- include "evergate.podSecurityContext" . | nindent 4 }}

and in its metadata.labels

    {{- include "evergate.podLabels" . | nindent 4 }}

Of the first two one is empty, by the cluster's version. Each takes the context of the
including chart, which has Evergate's values under evergate; or a dict with root and values.

There is no preStop. A native sidecar is told to end when your containers have ended; it
then lets requests end and exits 0. A preStop would only delay that.
*/}}

{{- define "evergate.sidecar" -}}
{{- $values := include "evergate.of" . | fromJson -}}
{{- $e := dict "root" (ternary .root . (hasKey . "root")) "values" $values "native" true -}}
{{- if eq (include "evergate.native" $e) "true" -}}
{{- include "evergate.sidecarContainer" $e -}}
{{- end -}}
{{- end -}}

{{- define "evergate.sidecarFallback" -}}
{{- $values := include "evergate.of" . | fromJson -}}
{{- $e := dict "root" (ternary .root . (hasKey . "root")) "values" $values "native" false -}}
{{- if ne (include "evergate.native" $e) "true" -}}
{{- include "evergate.sidecarContainer" $e -}}
{{- end -}}
{{- end -}}

{{- define "evergate.volumes" -}}
{{- $values := include "evergate.of" . | fromJson -}}
{{- include "evergate.volumeList" (dict "root" (ternary .root . (hasKey . "root")) "values" $values) | trim -}}
{{- end -}}

{{- define "evergate.podSecurityContext" -}}
{{- $values := include "evergate.of" . | fromJson -}}
{{- $e := dict "values" $values -}}
{{- printf "%s\n%s" (include "evergate.fsGroup" $e) (include "evergate.sysctls" $e) | trim -}}
{{- end -}}

{{/*
Where the shop's own name leads to the sidecar (sidecar.hosts), three more, empty otherwise. In the pod's spec:

  hostAliases:
    {{- include "evergate.hostAliases" . | nindent 4 }}

and in each of your containers that calls the shop

      env:
        {{- include "evergate.clientEnv" . | nindent 8 }}
      volumeMounts:
        {{- include "evergate.clientVolumeMounts" . | nindent 8 }}
*/}}
{{- define "evergate.hostAliases" -}}
{{- $values := include "evergate.of" . | fromJson -}}
{{- if $values.sidecar.hosts -}}
- ip: 127.0.0.1
  hostnames: [{{ trimSuffix ".myshopify.com" $values.shop }}.myshopify.com]
{{- end -}}
{{- end -}}

{{/* Each variable is one that an ecosystem reads for the certificates to trust. */}}
{{- define "evergate.clientEnv" -}}
{{- $values := include "evergate.of" . | fromJson -}}
{{- if $values.sidecar.hosts -}}
{{- include "evergate.rootsEnv" . | trim -}}
{{- end -}}
{{- end -}}

{{- define "evergate.rootsEnv" -}}
{{- range list "SSL_CERT_FILE" "CURL_CA_BUNDLE" "REQUESTS_CA_BUNDLE" "NODE_EXTRA_CA_CERTS" "DENO_CERT" "PERL_LWP_SSL_CA_FILE" }}
- name: {{ . }}
  value: /run/evergate/trust/roots.pem
{{- end }}
{{- end -}}

{{- define "evergate.clientVolumeMounts" -}}
{{- $values := include "evergate.of" . | fromJson -}}
{{- if $values.sidecar.hosts -}}
- name: evergate-trust
  mountPath: /run/evergate/trust
  readOnly: true
{{- end -}}
{{- end -}}

{{/* What the PodMonitor finds the pods by. */}}
{{- define "evergate.podLabels" -}}
{{- $values := include "evergate.of" . | fromJson -}}
evergate/sidecar: {{ include "evergate.fullname" (dict "root" (ternary .root . (hasKey . "root")) "values" $values) }}
{{- end -}}

{{- define "evergate.native" -}}
{{- $native := toString .values.sidecar.native -}}
{{- if eq $native "auto" -}}
{{- semverCompare ">=1.29.0-0" .root.Capabilities.KubeVersion.Version -}}
{{- else -}}
{{- $native -}}
{{- end -}}
{{- end -}}

{{- define "evergate.sidecarContainer" -}}
{{- include "evergate.check" . -}}
{{- $v := .values -}}
{{- if and $v.sidecar.hosts (not $v.shop) -}}
{{- fail "evergate: sidecar.hosts leads one shop's name to the sidecar: set shop" -}}
{{- end -}}
{{- if eq $v.store.kind "kubernetes" -}}
{{- fail "evergate: store.kind=kubernetes is for the Deployment, whose pods have an account with a Role: for the sidecar set store.kind=database, or give your pod such an account and set settings.EVERGATE_STORE" -}}
{{- end -}}
{{- $more := dict -}}
{{- if not .native -}}
{{- $_ := set $more "EVERGATE_SHUTDOWN_DELAY" (printf "%vs" $v.sidecar.shutdownDelaySeconds) -}}
{{- end -}}
{{- $listen := printf "127.0.0.1:%v" $v.sidecar.port -}}
{{- if $v.sidecar.hosts -}}
{{- $listen = printf "%s,tls:127.0.0.1:443" $listen -}}
{{- $_ := merge $more (dict "EVERGATE_RESOLVER" "resolv.conf" "EVERGATE_CA_DIR" "memory:" "EVERGATE_CA_FILE" "/run/evergate/trust/roots.pem") -}}
{{- end -}}
- name: evergate
  image: {{ include "evergate.image" . }}
  imagePullPolicy: {{ $v.image.pullPolicy }}
  {{- if .native }}
  restartPolicy: Always
  {{- end }}
  env:
    {{- include "evergate.env" (merge (dict
      "listen" $listen
      "adminListen" (ternary (printf ":%v" $v.admin.port) (printf "127.0.0.1:%v" $v.admin.port) $v.admin.exposed)
      "more" $more) .) | trim | nindent 4 }}
  {{- if $v.admin.exposed }}
  ports:
    - name: evergate-admin
      containerPort: {{ $v.admin.port }}
  {{- end }}
  {{- include "evergate.sidecarProbes" . | nindent 2 }}
  resources:
    {{- toYaml $v.resources | nindent 4 }}
  securityContext:
    {{- include "evergate.securityContext" . | nindent 4 }}
  {{- with include "evergate.volumeMounts" . | trim }}
  volumeMounts:
    {{- . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/*
The start of a native sidecar is over when its startupProbe has succeeded; only then do
your containers start. Of an ordinary container it is over when its postStart hook has
ended, if it is the first in the list.
*/}}
{{- define "evergate.sidecarProbes" -}}
{{- $v := .values -}}
{{- $token := eq $v.sidecar.waitFor "token" -}}
{{- $exec := ternary (dict) (dict "timeoutSeconds" 6) $v.admin.exposed -}}
{{- if .native -}}
startupProbe:
  {{- if $v.admin.exposed }}
  {{- include "evergate.httpProbe" (list (ternary "/startupz" "/livez" $token) "evergate-admin") | nindent 2 }}
  {{- else }}
  {{- include "evergate.execProbe" (ternary (list "--startup") (list) $token) | nindent 2 }}
  {{- end }}
  {{- $period := dig "startup" "periodSeconds" 1 (default dict $v.probes) }}
  {{- include "evergate.timings" (list . "startup" (merge (dict "periodSeconds" $period "failureThreshold" (divf $v.sidecar.waitSeconds $period | ceil | int)) $exec)) | nindent 2 }}
{{- else if $token -}}
lifecycle:
  postStart:
    exec:
      command: ["/evergate", "wait", "--timeout", "{{ $v.sidecar.waitSeconds }}s"]
{{- end }}
{{- if $v.sidecar.readiness }}
readinessProbe:
  {{- if $v.admin.exposed }}
  {{- include "evergate.httpProbe" (list "/readyz" "evergate-admin") | nindent 2 }}
  {{- else }}
  {{- include "evergate.execProbe" (list "--ready") | nindent 2 }}
  {{- end }}
  {{- include "evergate.timings" (list . "readiness" (merge (dict "periodSeconds" 10) $exec)) | nindent 2 }}
{{- end }}
livenessProbe:
  {{- if $v.admin.exposed }}
  {{- include "evergate.httpProbe" (list "/livez" "evergate-admin") | nindent 2 }}
  {{- else }}
  {{- include "evergate.execProbe" (list) | nindent 2 }}
  {{- end }}
  {{- include "evergate.timings" (list . "liveness" (merge (dict "periodSeconds" 20) $exec)) | nindent 2 }}
{{- end -}}
