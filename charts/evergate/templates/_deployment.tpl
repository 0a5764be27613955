{{/* What only the Deployment of its own needs. */}}

{{- define "evergate.checkDeployment" -}}
{{- include "evergate.check" . -}}
{{- $v := .values -}}
{{- $certificates := and $v.tls.existingSecret $v.tls.clientCASecret -}}
{{- if not (or $v.deployment.unsafeListen $v.authentication.clientKeysSecret $certificates) -}}
{{- fail "evergate: the Deployment would act as your app for everybody in the cluster who calls it: have callers show a key (authentication.clientKeysSecret) or a certificate (tls.existingSecret and tls.clientCASecret), or accept it with deployment.unsafeListen=true; if only the sidecar is used, set deployment.enabled=false" -}}
{{- end -}}
{{- if and $v.tls.clientCASecret (not $v.tls.existingSecret) -}}
{{- fail "evergate: tls.clientCASecret needs a certificate of our own beside it: set tls.existingSecret" -}}
{{- end -}}
{{- if eq $v.store.kind "volume" -}}
{{- fail "evergate: store.kind=volume is for the sidecar, in a pod that has such a volume: for the Deployment set store.kind=claim" -}}
{{- end -}}
{{- if and (eq $v.store.kind "kubernetes") (not $v.serviceAccount.create) (not $v.serviceAccount.name) -}}
{{- fail "evergate: with store.kind=kubernetes every pod of the namespace that has no account of its own could read the grants: set serviceAccount.create=true, or serviceAccount.name" -}}
{{- end -}}
{{- $several := eq (include "evergate.severalReplicas" .) "true" -}}
{{- if and $several (eq (include "evergate.oneAtATime" .) "true") -}}
{{- fail "evergate: several replicas cannot share a volume that one node at a time has: set store.kind=database or store.kind=kubernetes, or store.accessModes=[ReadWriteMany] if your storage has it, or keep one replica" -}}
{{- end -}}
{{- $own := or (eq $v.store.kind "emptyDir") (regexMatch "^(memory|file):" (dig "EVERGATE_STORE" "" $v.settings)) -}}
{{- if and $several (eq (include "evergate.offline" .) "true") $own -}}
{{- fail "evergate: several replicas with a store each, a memory: or a file: or an emptyDir, would break the offline grant, which only one can renew: set store.kind=database or store.kind=kubernetes, or keep one replica with store.kind=claim" -}}
{{- end -}}
{{- end -}}

{{- define "evergate.severalReplicas" -}}
{{- or .values.autoscaling.enabled (gt (int .values.deployment.replicas) 1) -}}
{{- end -}}

{{/* Over zones and nodes, but rather unevenly than not at all. */}}
{{- define "evergate.spread" -}}
{{- $constraints := .values.deployment.topologySpreadConstraints -}}
{{- if and (not $constraints) (eq (include "evergate.severalReplicas" .) "true") -}}
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" -}}
{{- $constraints = append $constraints (dict "maxSkew" 1 "topologyKey" $key "whenUnsatisfiable" "ScheduleAnyway") -}}
{{- end -}}
{{- end -}}
{{- dict "constraints" $constraints | toJson -}}
{{- end -}}

{{- define "evergate.oneAtATime" -}}
{{- and (eq .values.store.kind "claim") (not (has "ReadWriteMany" .values.store.accessModes)) -}}
{{- end -}}

{{/* An address without a host is every address, of both IP versions where there are two. */}}
{{- define "evergate.deploymentEnv" -}}
{{- $v := .values -}}
{{- $d := $v.deployment -}}
{{- $more := dict
  "EVERGATE_SHUTDOWN_DELAY" (printf "%vs" $d.shutdownDelaySeconds)
  "EVERGATE_SHUTDOWN_TIMEOUT" (printf "%vs" $d.shutdownTimeoutSeconds)
  "EVERGATE_ALLOWED_HOSTS" (include "evergate.hosts" .) -}}
{{- $asks := or $v.authentication.clientKeysSecret $v.tls.clientCASecret -}}
{{- if and $d.unsafeListen (not $asks) -}}
{{- $_ := set $more "EVERGATE_UNSAFE_LISTEN" "true" -}}
{{- end -}}
{{- if $v.login.publicUrl -}}
{{- if ne (include "evergate.offline" .) "true" -}}
{{- fail "evergate: login.publicUrl is for the grant that a login obtains: set grant=offline" -}}
{{- end -}}
{{- $_ := set $more "EVERGATE_PUBLIC_URL" $v.login.publicUrl -}}
{{- $_ := set $more "EVERGATE_LOGIN_LISTEN" (printf ":%v" $v.login.port) -}}
{{- end -}}
{{- if $v.authentication.clientKeysSecret -}}
{{- $_ := set $more "EVERGATE_CLIENT_KEYS_FILE" "/run/secrets/evergate-client-keys/client-keys" -}}
{{- end -}}
{{- if $v.tls.existingSecret -}}
{{- $_ := set $more "EVERGATE_TLS_CERT_FILE" "/run/secrets/evergate-tls/tls.crt" -}}
{{- $_ := set $more "EVERGATE_TLS_KEY_FILE" "/run/secrets/evergate-tls/tls.key" -}}
{{- end -}}
{{- if $v.tls.clientCASecret -}}
{{- $_ := set $more "EVERGATE_TLS_CLIENT_CA_FILE" "/run/secrets/evergate-client-ca/ca.crt" -}}
{{- end -}}
{{- dict
  "listen" (ternary "tls::8443" ":8080" (ne $v.tls.existingSecret ""))
  "adminListen" (printf ":%v" $v.admin.port)
  "more" $more | toJson -}}
{{- end -}}

{{- define "evergate.hosts" -}}
{{- $name := include "evergate.fullname" . -}}
{{- $namespace := .root.Release.Namespace -}}
{{- $hosts := list $name (printf "%s.%s" $name $namespace) (printf "%s.%s.svc" $name $namespace) (printf "%s.%s.svc.%s" $name $namespace .values.deployment.clusterDomain) -}}
{{- concat $hosts .values.deployment.allowedHosts | join "," -}}
{{- end -}}
