"""A local HTTP server that speaks the API reference: to rehearse a job, to show one, to test against.

`serving(settings)` runs it in the current event loop, `serving_in_thread(settings)` in a thread. It follows
the text of the reference and shares no code with the client. Beside the API, `/_emulator/state`,
`/_emulator/effects` and `/_emulator/deliveries` show what happened.
"""

from .algorithms import Algorithm
from .deliveries import Delivery
from .faults import Fault, FaultKind
from .limits import TIERS
from .schedule import Schedule
from .server import Emulator, serving, serving_in_thread
from .settings import EmulatorSettings
from .statistics import Statistics
from .tally import Tally
from .things import Effect
from .webhook import Webhook
from .world import World

__all__ = [
    "TIERS",
    "Algorithm",
    "Delivery",
    "Effect",
    "Emulator",
    "EmulatorSettings",
    "Fault",
    "FaultKind",
    "Schedule",
    "Statistics",
    "Tally",
    "Webhook",
    "World",
    "serving",
    "serving_in_thread",
]
