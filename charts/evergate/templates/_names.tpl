{{/*
Names. Every template in the files that begin with _ takes a dict with root, the context of
the chart that is being rendered, and values, those of Evergate: in a chart that includes
the sidecar they are not all of its values. Only what is in _sidecar.tpl for others takes
their context as it is.
*/}}

{{- define "evergate.appVersion" -}}0.1.0{{- end -}}

{{- define "evergate.name" -}}
{{- default "evergate" .values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "evergate.fullname" -}}
{{- $name := include "evergate.name" . -}}
{{- if .values.fullnameOverride -}}
{{- .values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .root.Release.Name -}}
{{- .root.Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .root.Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "evergate.selectorLabels" -}}
app.kubernetes.io/name: {{ include "evergate.name" . }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end -}}

{{/* What .moreLabels has, if it is given, goes before the labels of every object. */}}
{{- define "evergate.labels" -}}
{{ include "evergate.selectorLabels" . }}
app.kubernetes.io/version: {{ include "evergate.appVersion" . | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 }}
{{- with merge (dict) (default dict .moreLabels) .values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* An object's annotations, of every object and of this one, which goes before; empty if there are none. */}}
{{- define "evergate.annotations" -}}
{{- with merge (dict) (default dict (index . 1)) (default dict (index . 0).values.commonAnnotations) -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* Without a registry evergate is docker.io/library/evergate, which there is not: a pod would wait for it for ever. */}}
{{- define "evergate.image" -}}
{{- $image := .values.image -}}
{{- $repository := $image.repository -}}
{{- with $image.registry -}}
{{- $repository = printf "%s/%s" . $repository -}}
{{- end -}}
{{- if eq $repository "evergate" -}}
{{- fail "evergate: no registry has an image that is called evergate alone: build it with `docker build`, push it, and set image.registry to where it is, for example registry.example.com/team; if the nodes have it already, set image.repository=docker.io/library/evergate" -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default (include "evergate.appVersion" .) $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "evergate.serviceAccountName" -}}
{{- if .values.serviceAccount.create -}}
{{- default (include "evergate.fullname" .) .values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The values of Evergate, as JSON, in a chart that depends on it. */}}
{{- define "evergate.of" -}}
{{- if hasKey . "values" -}}
{{- .values | toJson -}}
{{- else if hasKey .Values "evergate" -}}
{{- .Values.evergate | toJson -}}
{{- else -}}
{{- fail "evergate: the chart that includes its sidecar has no values under the name evergate: depend on it by that name, or give them: include \"evergate.sidecar\" (dict \"root\" $ \"values\" .Values.NAME)" -}}
{{- end -}}
{{- end -}}
