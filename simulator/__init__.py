"""A simulated smart lock: the reference for firmware, the demo's fleet, the tests' locks.

Read ``lock`` and ``commands`` first: they are the protocol's rules without a
socket. ``clock``, ``report_queue`` and ``command_ring`` are what they stand
on, ``connection`` and ``uplink`` the way to the server, and ``simulated_lock``
puts one lock together.
"""

from simulator.door import DoorTimes
from simulator.faults import Faults
from simulator.options import LockOptions
from simulator.simulated_lock import SimulatedLock

__all__ = ["DoorTimes", "Faults", "LockOptions", "SimulatedLock"]
