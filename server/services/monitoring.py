"""What monitoring reads of this node, and whether it may."""

import secrets
from collections.abc import Callable, Mapping

from server.domain.errors import MetricsOff, Unauthenticated
from server.services.health import Health, HealthCheck
from server.services.metrics import Metrics
from server.services.seldom import Seldom


class Monitoring:
    """Gives the metrics to whoever has the token.

    They are for nobody else: the counts of a small house tell when somebody comes home.
    """

    def __init__(
        self,
        metrics: Metrics,
        page: Callable[[Health, Mapping[str, int] | None], bytes],
        health: HealthCheck,
        locks_offline: Seldom[dict[str, int]],
        token: str | None,
    ) -> None:
        self.metrics = metrics
        self._page = page
        self._health = health
        self._locks_offline = locks_offline
        self._token = token

    async def page(self, token: str | None) -> bytes:
        """All metrics, as Prometheus reads them.

        Raises:
            MetricsOff: no token is set, so nobody may.
            Unauthenticated: that is not the token.
        """
        if self._token is None:
            raise MetricsOff
        if token is None or not secrets.compare_digest(token.encode(), self._token.encode()):
            raise Unauthenticated("This is not the token of the metrics")
        return self._page(await self._health.check(), await self._locks_offline.known())
