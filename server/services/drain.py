"""A node on its way out: nobody new, what was begun is finished, then everybody is sent away."""

from server.services.admission import Admission
from server.services.confirmations import Confirmations
from server.services.fleet_feed import FleetFeed
from server.services.health import HealthCheck
from server.services.sessions import Farewell, Sessions


class Drain:
    """Takes a node out of service; what is left afterwards can be ended without harm."""

    def __init__(
        self,
        health: HealthCheck,
        admission: Admission,
        sessions: Sessions,
        confirmations: Confirmations,
        fleet_feed: FleetFeed,
        farewell: Farewell,
    ) -> None:
        self._health = health
        self._admission = admission
        self._sessions = sessions
        self._confirmations = confirmations
        self._fleet_feed = fleet_feed
        self._farewell = farewell

    async def run(self) -> None:
        """Drain the node. Once is enough; another time there is nothing left to do."""
        self._health.begin_drain()
        self._admission.begin_drain()
        await self._sessions.drain(self._farewell)
        self._confirmations.end_all()
        self._fleet_feed.end_all()
