{{/* One rule of egress to a host's port, or none to the pod itself: of `root`, `name` (what the destination is called in the values), `host`, `port`. */}}
{{- define "quaywatch.egressRule" -}}
{{- $given := default dict (index .root.Values.networkPolicy.destinations .name) }}
{{- $peers := $given.to }}
{{- if not (regexMatch "^(localhost$|127[.]|::1$)" .host) }}
{{- if and (not $peers) (contains "$" .host) }}
{{- fail (printf "networkPolicy: the address of %s is not known to the chart; give networkPolicy.destinations.%s.to and .ports" .name .name) }}
{{- end }}
{{- if not $peers }}
{{- $peers = include "quaywatch.peers" . | fromYamlArray }}
{{- end }}
- ports:
    {{- range default (list .port) $given.ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- with $peers }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Who is behind a host's name: an address, the pods of a Service's namespace, or, for any other name, everybody. */}}
{{- define "quaywatch.peers" -}}
{{- if regexMatch "^[0-9.]+$" .host }}
- ipBlock: {cidr: {{ .host }}/32}
{{- else if contains ":" .host }}
- ipBlock: {cidr: {{ printf "%s/128" (.host | trimPrefix "[" | trimSuffix "]") | quote }}}
{{- else if not (contains "." .host) }}
- podSelector: {}
{{- else if regexMatch "^[^.]+[.][^.]+[.]svc([.]|$)" .host }}
- namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ index (splitList "." .host) 1 }}}}
{{- end }}
{{- end }}

{{/* The same for a URL; one that is a reference leads nowhere that is known. */}}
{{- define "quaywatch.egressUrl" -}}
{{- $url := dict "hostname" "$" "host" "" "scheme" "" }}
{{- if not (contains "$" .url) }}
{{- $url = urlParse .url }}
{{- end }}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary "443" "80" (eq $url.scheme "https")) }}
{{- include "quaywatch.egressRule" (dict "root" .root "name" .name "host" $url.hostname "port" $port) }}
{{- end }}

{{/* Where telemetry goes: as the configuration says, or else the variables that give way to it; gRPC needs no scheme. */}}
{{- define "quaywatch.otlpEndpoints" -}}
{{- $endpoint := (default dict (include "quaywatch.config" . | fromYaml).telemetry.otlp).endpoint }}
{{- $urls := compact (list $endpoint) }}
{{- range ternary (list) .Values.extraEnv (not (empty $endpoint)) }}
{{- if regexMatch "^OTEL_EXPORTER_OTLP_((METRICS|TRACES|LOGS)_)?ENDPOINT$" .name }}
{{- $url := hasKey . "value" | ternary .value "$" }}
{{- $urls = append $urls (ternary $url (printf "http://%s" $url) (regexMatch "^$|[$]|://" $url)) }}
{{- end }}
{{- end }}
{{- $urls | compact | uniq | toYaml }}
{{- end }}

{{/* The rules for everything that the configuration names. */}}
{{- define "quaywatch.egress" -}}
{{- $config := include "quaywatch.config" . | fromYaml }}
{{- range $name, $target := $config.targets }}
{{- $it := dict "root" $ "name" $name }}
{{- if has $target.kind (list "postgres" "redis") }}
{{- if not (hasPrefix "/" $target.host) }}
{{- $usual := ternary 5432 6379 (eq $target.kind "postgres") }}
{{- include "quaywatch.egressRule" (merge (dict "host" $target.host "port" (default $usual $target.port)) $it) }}
{{- end }}
{{- end }}
{{- range compact (list $target.url $target.direct $target.endpoint) }}
{{- include "quaywatch.egressUrl" (merge (dict "url" .) $it) }}
{{- end }}
{{- end }}
{{- range include "quaywatch.otlpEndpoints" . | fromYamlArray }}
{{- include "quaywatch.egressUrl" (dict "root" $ "name" "telemetry.otlp" "url" .) }}
{{- end }}
{{- $browser := default dict $config.browser }}
{{- $artifacts := default dict (default dict $browser.artifacts).s3 }}
{{- range compact (append (default list $browser.allow_origins) $artifacts.endpoint) }}
{{- include "quaywatch.egressUrl" (dict "root" $ "name" "browser" "url" .) }}
{{- end }}
{{- end }}
