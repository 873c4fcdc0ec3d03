"""A probe's run: its steps and their undoing, the verdict, the question for a cause, the sweep of what was left."""

from __future__ import annotations

from .run import PASSED, RunRecord, announce, run_probe, skip_probe
from .saga import StepRecord
from .suspicion import Case, Cause, Evidence, OnSuspicion, Suspicion, Trigger
from .sweep import SWEEP_EVERY, sweep_probe

__all__ = [
    "PASSED",
    "SWEEP_EVERY",
    "Case",
    "Cause",
    "Evidence",
    "OnSuspicion",
    "RunRecord",
    "StepRecord",
    "Suspicion",
    "Trigger",
    "announce",
    "run_probe",
    "skip_probe",
    "sweep_probe",
]
