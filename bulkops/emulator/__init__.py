"""A local HTTP server that speaks the API reference: to rehearse a job, to show one, to test against.

`serving(settings)` runs it in the current event loop, `serving_in_thread(settings)` in a thread. It follows
the text of the reference and shares no code with the client. Beside the API, `/_emulator/state` and
`/_emulator/effects` show what happened.
"""

from .algorithms import Algorithm
from .faults import Fault, FaultKind
from .limits import TIERS
from .schedule import Schedule
from .server import Emulator, serving, serving_in_thread
from .settings import EmulatorSettings
from .statistics import Statistics
from .tally import Tally
from .things import Effect
from .world import World

__all__ = [
    "TIERS",
    "Algorithm",
    "Effect",
    "Emulator",
    "EmulatorSettings",
    "Fault",
    "FaultKind",
    "Schedule",
    "Statistics",
    "Tally",
    "World",
    "serving",
    "serving_in_thread",
]
