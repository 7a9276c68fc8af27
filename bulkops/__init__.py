"""Bulk operations for the ElevenLabs Agents API: paced, checkpointed, nothing done twice.

The names below are the public ones. They are loaded when they are first used: `import bulkops` alone costs nothing.
"""

from __future__ import annotations

from bulkops.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bulkops.api import PROFILES, Profile, Tier
    from bulkops.errors import BulkopsError, JobError, UsageError
    from bulkops.jobfile import Given
    from bulkops.model import Outcome, State
    from bulkops.operations import KINDS
    from bulkops.pipeline import Ending, Order, run
    from bulkops.planning import Plan, Selection, make_plan
    from bulkops.reporting.report import Report
    from bulkops.settings import Account, Secret, Settings, run_folder

__version__ = VERSION

_HOMES = {
    "KINDS": "operations",
    "PROFILES": "api",
    "Account": "settings",
    "BulkopsError": "errors",
    "Ending": "pipeline",
    "Given": "jobfile",
    "JobError": "errors",
    "Order": "pipeline",
    "Outcome": "model",
    "Plan": "planning",
    "Profile": "api",
    "Report": "reporting.report",
    "Secret": "settings",
    "Selection": "planning",
    "Settings": "settings",
    "State": "model",
    "Tier": "api",
    "UsageError": "errors",
    "make_plan": "planning",
    "run": "pipeline",
    "run_folder": "settings",
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'bulkops' has no attribute {name!r}")
    return getattr(import_module(f"bulkops.{home}"), name)


__all__ = [
    "KINDS",
    "PROFILES",
    "Account",
    "BulkopsError",
    "Ending",
    "Given",
    "JobError",
    "Order",
    "Outcome",
    "Plan",
    "Profile",
    "Report",
    "Secret",
    "Selection",
    "Settings",
    "State",
    "Tier",
    "UsageError",
    "__version__",
    "make_plan",
    "run",
    "run_folder",
]
