from datetime import UTC, datetime
from random import Random

from server.domain.protocol import (
    BoltState,
    DoorState,
    Telemetry,
    decode_lock_frame,
    encode_frame,
)
from simulator.sensors import Reading, Sensors

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def readings(seed: str, count: int, battery: float | None = None) -> list[Reading]:
    sensors = Sensors(Random(seed), battery)
    return [sensors.read(DoorState.CLOSED, BoltState.LOCKED) for _ in range(count)]


def test_the_same_seed_gives_the_same_readings():
    assert readings("1", 50) == readings("1", 50)
    assert readings("1", 50) != readings("2", 50)


def test_the_battery_only_falls_and_every_reading_keeps_the_protocols_limits():
    taken = readings("1", 20_000, battery=60)
    batteries = [reading["battery"] for reading in taken if "battery" in reading]
    assert batteries == sorted(batteries, reverse=True)
    assert batteries[-1] == 0
    for seq, reading in enumerate(taken, start=1):
        frame = Telemetry(seq=seq, at=NOW, **reading)
        assert decode_lock_frame(encode_frame(frame)) == frame


def test_a_low_battery_is_told_once():
    sensors = Sensors(Random(1), battery=20.001)
    told = []
    for _ in range(50):
        sensors.read(DoorState.CLOSED, BoltState.LOCKED)
        told.append(sensors.battery_became_low())
    assert told.count(True) == 1
