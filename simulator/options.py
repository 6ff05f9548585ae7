"""How one simulated lock behaves; everything that is not who it is."""

from dataclasses import dataclass, field, replace

from simulator.backoff import CAP_S
from simulator.door import DoorTimes
from simulator.faults import Faults


@dataclass(frozen=True)
class LockOptions:
    """The defaults are a healthy lock at an ordinary door."""

    name: str = ""
    """For the log lines only."""
    times: DoorTimes = field(default_factory=DoorTimes)
    telemetry_every_s: float | None = 60.0
    """None: readings only when asked for (``SimulatedLock.report``)."""
    battery: float | None = None
    """The charge to begin with, in percent; by default drawn by the seed."""
    jammed: bool = False
    offline_for_s: float = 0.0
    """Seconds from power-on to the first attempt to connect."""
    reconnect: bool = True
    reconnect_cap_s: float = CAP_S
    """The longest wait before a new attempt that the server did not name itself."""
    queue_capacity: int = 10_000
    faults: Faults = field(default_factory=Faults)
    seed: int = 0

    @property
    def door_times(self) -> DoorTimes:
        """The door's times with the slow bolt, if that fault is on."""
        return replace(self.times, bolt_s=self.times.bolt_s + self.faults.slow_bolt_s)
