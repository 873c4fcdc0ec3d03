{{/* The configuration with what the chart adds to it; what `config` says wins. */}}
{{- define "quaywatch.config" -}}
{{- $token := "${file:/run/secrets/quaywatch/http-token}" }}
{{- $ours := dict "telemetry" (dict "http" (dict "listen" "0.0.0.0:9464" "token" $token)) }}
{{- if .Values.browser.enabled }}
{{- /* The restricted profile forbids the user namespaces that Chromium's own sandbox is made of. */}}
{{- $_ := set $ours "browser" (dict "sandbox" false "dev_shm" true) }}
{{- end }}
{{- if eq .Values.mode "daemonset" }}
{{- $_ := set $ours "discovery" (dict "node" "${env:NODE_NAME}") }}
{{- end }}
{{- $lease := default dict .Values.config.lease }}
{{- if and (ne .Values.mode "sidecar") (kindIs "map" $lease) (not (hasKey $lease "target")) (not (hasKey $lease "kubernetes")) }}
{{- $_ := set $ours "lease" (dict "kubernetes" (dict "name" (include "quaywatch.fullname" .))) }}
{{- end }}
{{- mergeOverwrite $ours (deepCopy .Values.config) | toYaml }}
{{- end }}

{{/* The name of the Lease object that the configuration asks for; empty when it asks for none. */}}
{{- define "quaywatch.leaseName" -}}
{{- $lease := (include "quaywatch.config" . | fromYaml).lease }}
{{- if and (kindIs "map" $lease) (hasKey $lease "kubernetes") }}
{{- default "quaywatch" (default dict $lease.kubernetes).name }}
{{- end }}
{{- end }}

{{/* The namespace of that object. */}}
{{- define "quaywatch.leaseNamespace" -}}
{{- $lease := (include "quaywatch.config" . | fromYaml).lease }}
{{- default (include "quaywatch.namespace" .) (default dict $lease.kubernetes).namespace }}
{{- end }}

{{/* Not empty when the agents look for the pods of their node. */}}
{{- define "quaywatch.discovers" -}}
{{- if (include "quaywatch.config" . | fromYaml).discovery }}yes{{ end }}
{{- end }}

{{- define "quaywatch.port" -}}
{{- (include "quaywatch.config" . | fromYaml).telemetry.http.listen | splitList ":" | last }}
{{- end }}

{{- define "quaywatch.secretName" -}}
{{- default (include "quaywatch.fullname" .) .Values.existingSecret }}
{{- end }}

{{/* Where Prometheus finds the token that the agent's page asks for; only when that is a key of the mounted Secret. */}}
{{- define "quaywatch.authorization" -}}
{{- $token := default "" (include "quaywatch.config" . | fromYaml).telemetry.http.token }}
{{- if hasPrefix "${file:/run/secrets/quaywatch/" $token }}
authorization:
  type: Bearer
  credentials:
    name: {{ include "quaywatch.secretName" . }}
    key: {{ $token | trimPrefix "${file:/run/secrets/quaywatch/" | trimSuffix "}" }}
{{- end }}
{{- end }}
