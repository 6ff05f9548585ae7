"""A simulated smart lock: the reference for firmware, the demo's fleet, the tests' locks.

Read ``lock`` and ``commands`` first: they are the protocol's rules without a
socket. ``clock``, ``report_queue`` and ``command_ring`` are what they stand
on, ``connection`` and ``uplink`` the way to the server, and ``powered_lock``
puts one lock together. ``simulated_lock`` adds what tests do to it, ``fleet`` and
``enrolment`` make many.
"""

from simulator.door import DoorTimes
from simulator.faults import Faults
from simulator.options import LockOptions
from simulator.simulated_lock import SimulatedLock

__all__ = ["DoorTimes", "Faults", "LockOptions", "SimulatedLock"]
