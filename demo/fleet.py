"""The demo's doors: where they are, and what is special about some of them."""

from dataclasses import dataclass

ORGANIZATION = "Saltmarsh & Pine Holiday Homes"


@dataclass(frozen=True)
class DemoLock:
    """One simulated lock before it is anybody's; its name is unique."""

    name: str
    time_zone: str
    battery: float | None = None
    jammed: bool = False
    stays_offline: bool = False


FRONT_DOOR, LIGHTHOUSE, GARDEN_GATE, OLIVE_MILL, WINE_CELLAR = (
    DemoLock("Front door", "Europe/Lisbon", battery=87),
    DemoLock("Lighthouse cottage", "Atlantic/Faroe", stays_offline=True),
    DemoLock("Garden gate", "Europe/Lisbon", battery=64),
    DemoLock("Olive mill", "Europe/Athens", battery=12),
    DemoLock("Wine cellar", "Europe/Vienna", jammed=True),
)
"""Those that the demo's keys are about, the most wanted first: a small fleet has only these."""

_DOORS = (
    FRONT_DOOR,
    LIGHTHOUSE,
    GARDEN_GATE,
    OLIVE_MILL,
    WINE_CELLAR,
    DemoLock("Hotel Linde, room 11", "Europe/Berlin"),
    DemoLock("Hotel Linde, room 12", "Europe/Berlin"),
    DemoLock("Hotel Linde, room 21", "Europe/Berlin"),
    DemoLock("Hotel Linde, room 22", "Europe/Berlin"),
    DemoLock("Hotel Linde, bicycle cellar", "Europe/Berlin"),
    DemoLock("Canal flat", "Europe/Amsterdam"),
    DemoLock("Attic flat", "Europe/Paris"),
    DemoLock("Chalet Enzian", "Europe/Zurich"),
    DemoLock("Chalet Enzian, ski room", "Europe/Zurich"),
    DemoLock("Sauna cabin", "Europe/Helsinki"),
    DemoLock("Fjord cabin", "Europe/Oslo"),
    DemoLock("Island studio", "Atlantic/Canary"),
    DemoLock("Tower flat", "Europe/Prague"),
    DemoLock("Harbour loft", "Europe/Dublin"),
    DemoLock("Lake house", "Europe/Warsaw"),
)


def demo_locks(count: int) -> list[DemoLock]:
    """The first ``count`` locks; beyond the named ones, holiday homes with numbers."""
    named = _DOORS[:count]
    more = [
        DemoLock(f"Holiday home {number}", _DOORS[number % len(_DOORS)].time_zone)
        for number in range(len(_DOORS) + 1, count + 1)
    ]
    return [*named, *more]
