{{/* Everything that a pod needs to hold the agent, for a workload of the chart's own. */}}
{{- define "quaywatch.podTemplate" -}}
metadata:
  labels:
    {{- include "quaywatch.agentLabels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ include "quaywatch.config" . | sha256sum }}
    kubectl.kubernetes.io/default-container: quaywatch
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "quaywatch.podHead" . | nindent 2 }}
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    -
      {{- $own := dict "labelSelector" (dict "matchLabels" (include "quaywatch.agentLabels" $ | fromYaml)) }}
      {{- merge (deepCopy .) $own | toYaml | nindent 6 }}
    {{- end }}
  {{- end }}
  {{- with .Values.extraInitContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    -
      {{- include "quaywatch.container" . | nindent 6 }}
      {{- with .Values.startupProbe }}
      startupProbe:
        httpGet: {path: /healthz, port: http-quaywatch}
        {{- toYaml . | nindent 8 }}
      {{- end }}
      readinessProbe:
        httpGet: {path: /readyz, port: http-quaywatch}
        {{- toYaml .Values.readinessProbe | nindent 8 }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "quaywatch.volumes" . | nindent 4 }}
{{- end }}

{{/* What every pod of the chart has, the test's included. */}}
{{- define "quaywatch.podHead" -}}
serviceAccountName: {{ include "quaywatch.serviceAccountName" . }}
automountServiceAccountToken: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- $network := list "hostAliases" "dnsPolicy" "dnsConfig" }}
{{- $placement := list "nodeSelector" "tolerations" "affinity" "priorityClassName" "runtimeClassName" }}
{{- range $key := concat (list "imagePullSecrets") $network $placement }}
{{- with index $.Values $key }}
{{ $key }}: {{- if kindIs "string" . }} {{ . }}{{ else }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "quaywatch.container" -}}
name: quaywatch
{{- if eq .Values.mode "sidecar" }}
restartPolicy: Always
{{- end }}
{{ include "quaywatch.containerCore" . }}
args: [run, --config, /etc/quaywatch/quaywatch.yaml]
ports:
  - name: http-quaywatch
    containerPort: {{ include "quaywatch.port" . }}
livenessProbe:
  httpGet: {path: /healthz, port: http-quaywatch}
  {{- toYaml .Values.livenessProbe | nindent 2 }}
{{- end }}

{{/* The agent's program with its environment and its files, whatever it is told to do. */}}
{{- define "quaywatch.containerCore" -}}
image: {{ include "quaywatch.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
env:
  {{- include "quaywatch.env" . | nindent 2 }}
resources:
  {{- ternary .Values.browser.resources .Values.resources .Values.browser.enabled | toYaml | nindent 2 }}
securityContext:
  {{- if eq .Values.mode "sidecar" }}
  {{- /* In full, since Odoo's pod may say otherwise. */}}
  {{- $own := pick .Values.podSecurityContext "runAsNonRoot" "runAsUser" "runAsGroup" "seccompProfile" }}
  {{- merge (deepCopy .Values.securityContext) $own | toYaml | nindent 2 }}
  {{- else }}
  {{- toYaml .Values.securityContext | nindent 2 }}
  {{- end }}
volumeMounts:
  - {name: quaywatch-config, mountPath: /etc/quaywatch, readOnly: true}
  - {name: quaywatch-secrets, mountPath: /run/secrets/quaywatch, readOnly: true}
  - {name: quaywatch-tmp, mountPath: /tmp}
  {{- if .Values.browser.enabled }}
  - {name: quaywatch-shm, mountPath: /dev/shm}
  {{- end }}
  {{- if include "quaywatch.asksTheApi" . }}
  - {name: quaywatch-api, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* OTEL_RESOURCE_ATTRIBUTES is the last, since a variable may refer to those before it only. */}}
{{- define "quaywatch.env" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_UID
  valueFrom: {fieldRef: {fieldPath: metadata.uid}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ include "quaywatch.resourceAttributes" . | quote }}
{{- end }}

{{- define "quaywatch.resourceAttributes" -}}
{{- $attributes := dict "k8s.pod.name" "$(POD_NAME)" "k8s.pod.uid" "$(POD_UID)" }}
{{- $_ := set $attributes "k8s.namespace.name" "$(POD_NAMESPACE)" }}
{{- $_ := set $attributes "k8s.node.name" "$(NODE_NAME)" }}
{{- $_ := set $attributes "k8s.container.name" "quaywatch" }}
{{- if ne .Values.mode "sidecar" }}
{{- $_ := set $attributes (printf "k8s.%s.name" .Values.mode) (include "quaywatch.fullname" .) }}
{{- end }}
{{- $pairs := list }}
{{- range $name, $value := mergeOverwrite $attributes .Values.resourceAttributes }}
{{- $pairs = append $pairs (printf "%s=%s" $name $value) }}
{{- end }}
{{- join "," $pairs }}
{{- end }}

{{/* Names of our own, since Odoo's pod, to which those of a sidecar are added, has volumes as well. */}}
{{- define "quaywatch.volumes" -}}
- name: quaywatch-config
  configMap: {name: {{ include "quaywatch.fullname" . }}}
- name: quaywatch-secrets
  secret: {secretName: {{ include "quaywatch.secretName" . }}}
- name: quaywatch-tmp
  emptyDir: {sizeLimit: {{ ternary .Values.browser.tmpSize .Values.tmpSize .Values.browser.enabled }}}
{{- if .Values.browser.enabled }}
- name: quaywatch-shm
  emptyDir: {medium: Memory, sizeLimit: {{ .Values.browser.shmSize }}}
{{- end }}
{{- if include "quaywatch.asksTheApi" . }}
{{- /* Mounted by hand, so that it reaches the agent's container and no other of the pod. */}}
- name: quaywatch-api
  projected:
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3600}
      - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
      - downwardAPI: {items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Not empty when the configuration makes the agent ask the Kubernetes API. */}}
{{- define "quaywatch.asksTheApi" -}}
{{- if or (include "quaywatch.leaseName" .) (include "quaywatch.discovers" .) }}yes{{ end }}
{{- end }}
