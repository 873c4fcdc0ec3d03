{{/* What the operator's objects have alike: of the chart's `root`, and of the values of one of them, `monitor`. */}}
{{- define "quaywatch.monitorMetadata" -}}
{{- $own := dict "namespace" .monitor.namespace "labels" .monitor.extraLabels }}
{{- include "quaywatch.metadata" (merge (dict "root" .root) $own) }}
{{- end }}

{{- define "quaywatch.monitorEndpoint" -}}
port: {{ .port }}
path: /metrics
interval: {{ .monitor.interval }}
scrapeTimeout: {{ .monitor.scrapeTimeout }}
# The series name their own targets and databases.
honorLabels: true
{{- include "quaywatch.authorization" .root }}
{{- with .monitor.relabelings }}
relabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .monitor.metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
