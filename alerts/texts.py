"""Go templates that several alerts share: what is known of the cause, looked up when the alert is told."""

from __future__ import annotations

MOST_FAILED_STEP = (
    "{{ range query (printf `topk(1, sum by (step, reason) (increase("
    "<quaywatch.probe.failures>{environment=%q, target=%q, probe=%q}[1h])) > 0)`"
    " $labels.environment $labels.target $labels.probe) }}"
    " Most failures of the last hour: step {{ .Labels.step }}, {{ .Labels.reason }}.{{ end }}"
)
ROOT_BLOCKER = (
    "{{ range query (printf `topk(1, max by (database, pid, state) ("
    '<postgresql.lock.root_blocker.held_up>{environment=%q, pid!="other"})'
    " and max by (database, pid, state) (<postgresql.lock.root_blocker.age>{environment=%q}) > 5)`"
    " $labels.environment $labels.environment) }}"
    " Also in this environment: process {{ .Labels.pid }} of database {{ .Labels.database }} ({{ .Labels.state }}"
    "{{ range query (printf `max(<postgresql.lock.root_blocker.age>{environment=%q, database=%q, pid=%q})`"
    " $labels.environment .Labels.database .Labels.pid) }} for {{ humanizeDuration .Value }}{{ end }})"
    " holds others up; sessions that wait for it: {{ .Value }}.{{ end }}"
)
"""Whoever holds most sessions up, and not for a moment only. It may be another tenant's: no cause that was found."""
DOWN = (
    "{{ range query (printf `max by (target, kind) (<quaywatch.target.up>{environment=%q, target=%q}) == 0`"
    " $labels.environment $labels.target) }} {{ .Labels.kind }} {{ .Labels.target }} does not answer.{{ end }}"
    "{{ with query (printf `max by (target, kind) (<quaywatch.target.up>{environment=%q, target!=%q}) == 0`"
    " $labels.environment $labels.target) }} Also in this environment:{{ range . }}"
    " {{ .Labels.kind }} {{ .Labels.target }} does not answer.{{ end }}{{ end }}"
)
"""What does not answer: the alert's own target, then others, which may have been so for weeks."""
_FOUND_MOST = (
    "query (printf `topk(1, sum by (cause, step) (increase("
    "<quaywatch.probe.causes>{environment=%q, target=%q, probe=%q}[10m])) > 0)`"
    " $labels.environment $labels.target $labels.probe)"
)
FLOW_CAUSE = (
    f"{{{{ with {_FOUND_MOST} }}}}"
    "{{ range . }}{{ .Labels.cause }} at step {{ .Labels.step }}{{ end }}{{ else }}not known{{ end }}"
)
"""What the agent found while the step was slow or failing: of the last ten minutes, what it found most."""
FOUND = (
    f"{{{{ range {_FOUND_MOST} }}}}"
    " Likely cause: {{ .Labels.cause }} at step {{ .Labels.step }}, as found while it failed.{{ end }}"
)
"""The same as a sentence; none if nothing was found."""
EVERYWHERE_CAUSE = (
    "{{ with query (printf `topk(1, sum by (cause) (increase("
    "<quaywatch.probe.causes>{environment=%q, probe=%q}[10m])) > 0)` $labels.environment $labels.probe) }}"
    "{{ range . }}{{ .Labels.cause }}{{ end }}{{ else }}not known{{ end }}"
)
HOLDER = (
    "{{ range query (printf `topk(1, max by (pid, state) (<postgresql.lock.root_blocker.age>"
    '{environment=%q, target=%q, database=%q, pid!="other"}))` $labels.environment $labels.target'
    " $labels.database) }} Root blocker: process {{ .Labels.pid }} ({{ .Labels.state }}), its transaction open for"
    " {{ humanizeDuration .Value }}.{{ end }}"
)
UNREACHED = (
    "{{ range query (printf `topk(1, sum by (reason) (increase(<quaywatch.scrape.error>"
    "{environment=%q, target=%q}[10m])) > 0)` $labels.environment $labels.target) }}"
    " Reason: {{ .Labels.reason }}.{{ end }}"
)
DURATION = "{{ humanizeDuration $value }}"
