{{- define "quaywatch.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* 50 characters, so that what is added to it stays a name. */}}
{{- define "quaywatch.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- $name := include "quaywatch.name" . }}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "quaywatch.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "quaywatch.selectorLabels" -}}
app.kubernetes.io/name: {{ include "quaywatch.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "quaywatch.agentLabels" -}}
{{ include "quaywatch.selectorLabels" . }}
app.kubernetes.io/component: {{ ternary "node" "agent" (eq .Values.mode "daemonset") }}
{{- end }}

{{- define "quaywatch.labels" -}}
{{ include "quaywatch.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: quaywatch
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* An object's metadata: of the chart's `root`, and what is its own of `name`, `namespace`, `labels`, `annotations`. */}}
{{- define "quaywatch.metadata" -}}
name: {{ default (include "quaywatch.fullname" .root) .name }}
namespace: {{ default (include "quaywatch.namespace" .root) .namespace }}
{{ include "quaywatch.marks" . }}
{{- end }}

{{/* The same of an object that is in no namespace, without its name. */}}
{{- define "quaywatch.marks" -}}
labels:
  {{- mergeOverwrite (include "quaywatch.labels" .root | fromYaml) (default dict .labels) | toYaml | nindent 2 }}
{{- with mergeOverwrite (deepCopy .root.Values.commonAnnotations) (default dict .annotations) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "quaywatch.serviceAccountName" -}}
{{- default (ternary (include "quaywatch.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "quaywatch.image" -}}
{{- $tag := default (printf "%s%s" .Chart.AppVersion (ternary "-browser" "" .Values.browser.enabled)) .Values.image.tag }}
{{- with .Values.image.registry }}{{ . }}/{{ end }}
{{- .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ $tag }}{{ end }}
{{- end }}
