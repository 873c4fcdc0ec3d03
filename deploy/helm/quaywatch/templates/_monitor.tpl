{{/* What a ServiceMonitor and a PodMonitor have alike: of the chart's root and of the values of the one or the other. */}}
{{- define "quaywatch.monitorMetadata" -}}
{{ include "quaywatch.metadata" .root }}
  {{- with .monitor.extraLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
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
