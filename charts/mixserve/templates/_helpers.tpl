{{/* Name of all objects of a release: its own name, with the chart's where that says something new. */}}
{{- define "mixserve.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* What the Deployment and the Service select by: never changes in a release's life. */}}
{{- define "mixserve.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* What every object carries. */}}
{{- define "mixserve.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The Service of the webhook, its certificate and the Secret with that; also the name in the certificate. */}}
{{- define "mixserve.webhookName" -}}
{{ include "mixserve.fullname" . }}-webhook
{{- end -}}
{{- define "mixserve.webhookHost" -}}
{{ include "mixserve.webhookName" . }}.{{ .Release.Namespace }}.svc
{{- end -}}

{{/* The operator's image. */}}
{{- define "mixserve.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* How gateways are deployed, as the operator reads it. */}}
{{- define "mixserve.gatewayOptions" -}}
{{- $user := ternary nil (int64 .Values.runAsUser) (kindIs "invalid" .Values.runAsUser) -}}
{{- with .Values.gateway -}}
{{- $options := dict "image" (include "mixserve.image" $) "imagePullPolicy" $.Values.image.pullPolicy "envoyImage" .envoyImage "replicas" (int .replicas) "serviceType" .serviceType "runAsUser" $user "envoyResources" (default dict .resources.envoy) "gatewayResources" (default dict .resources.gateway) -}}
{{- if .tls.secretName -}}
{{- $_ := set $options "tlsSecretName" .tls.secretName -}}
{{- end -}}
{{- toJson $options -}}
{{- end -}}
{{- end -}}

{{/* Name of what is not in a namespace, of which each release has its own. */}}
{{- define "mixserve.clusterName" -}}
{{ .Release.Namespace }}-{{ include "mixserve.fullname" . }}
{{- end -}}

{{/* What the operator may do where it looks after pools. It reads Secrets only if it is told to: engine pods name them
     themselves. */}}
{{- define "mixserve.poolRules" -}}
- apiGroups: [mixserve.dev]
  resources: [llmservingpools, speculativepairs]
  verbs: [get, list, watch]
- apiGroups: [mixserve.dev]
  resources: [llmservingpools/status, speculativepairs/status]
  verbs: [patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [patch]
- apiGroups: [""]
  resources: [services, serviceaccounts, configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
{{- if .Values.gateway.enabled }}
- apiGroups: [mixserve.dev]
  resources: [routingpolicies]
  verbs: [get, list, watch]
- apiGroups: [mixserve.dev]
  resources: [routingpolicies/status]
  verbs: [patch]
# A gateway may read the pools, policies and pods of its namespace. The API server lets nobody give a right that they do
# not have themselves.
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch]
# The log of an engine that crashed, to say what its error means.
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- if .Values.volumes.enabled }}
# The Jobs that read what there is to know of models on volumes, and whether there is a volume.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, create, delete]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get]
{{- end }}
{{- if and .Values.hub.enabled .Values.hub.readTokens }}
# Tokens for the hub, read one by one, by the name that a pool gives.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
{{- end }}
{{- end -}}
