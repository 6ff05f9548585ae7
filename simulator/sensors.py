"""Believable readings, the same every time for the same seed."""

from random import Random
from typing import TypedDict

from server.domain.protocol import BoltState, DoorState

LOW_BATTERY = 20.0


class Reading(TypedDict, total=False):
    """The values that one reading may carry, as ``Telemetry`` names them."""

    battery: float
    battery_voltage: float
    rssi: int
    temperature: float
    door: DoorState
    bolt: BoltState


class Sensors:
    """A battery that runs down slowly, a radio that wavers, a hall that warms and cools."""

    def __init__(self, random: Random, battery: float | None = None) -> None:
        self._random = random
        self._battery = random.uniform(55, 100) if battery is None else battery
        self._rssi = random.uniform(-75, -50)
        self._temperature = random.uniform(14, 22)
        self._low_was_told = False

    def read(self, door: DoorState, bolt: BoltState) -> Reading:
        """Take the next reading."""
        self._battery = max(0.0, self._battery - self._random.uniform(0, 0.02))
        self._temperature += self._random.gauss(0, 0.1) + (18 - self._temperature) * 0.01
        return Reading(
            battery=round(self._battery, 1),
            battery_voltage=round(4.2 + 1.8 * self._battery / 100, 2),  # four cells in series
            rssi=round(self._rssi + self._random.gauss(0, 2.5)),
            temperature=round(self._temperature, 1),
            door=door,
            bolt=bolt,
        )

    def battery_became_low(self) -> bool:
        """True once, after the reading that first showed a low battery."""
        if self._battery > LOW_BATTERY or self._low_was_told:
            return False
        self._low_was_told = True
        return True
