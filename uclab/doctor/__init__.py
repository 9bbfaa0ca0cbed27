"""What this machine has for a lab, and which fallbacks it uses for what is missing (`uclab doctor`).

Kernels differ: some have Open vSwitch and netem, some neither. A thing counts as present only when it was
tried; the trying happens in a throw-away set of namespaces, and the host's own network is never touched.
Deciding (`decision`) is apart from trying (`observation`), so that tests can pose as any kind of machine.
"""

from uclab.doctor.busy import busyness
from uclab.doctor.decision import decide
from uclab.doctor.observation import DEVICE_ROOT, Runner, observe
from uclab.doctor.report import HostReport, Need, State, as_table

__all__ = [
    "DEVICE_ROOT",
    "HostReport",
    "Need",
    "Runner",
    "State",
    "as_table",
    "busyness",
    "decide",
    "observe",
    "probe",
]


def probe() -> HostReport:
    """Examine this machine; takes about a quarter of a second and leaves nothing behind."""
    return decide(observe())
