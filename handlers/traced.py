"""The span of a request that acts.

Those that only look have none: pages that follow along, balancers and Prometheus would be
nearly all spans, and the log line of a request says as much.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from server import clock, tracing


@contextmanager
def traced(handler: Any) -> Iterator[None]:
    """The span of what a ``BaseHandler`` does about its request, since that came in.

    It begins a trace: one that a stranger names in a header is not gone on with.
    """
    request = handler.request
    began = clock.now() - timedelta(seconds=request.request_time())
    name = f"{request.method} {type(handler).__name__}"
    facts = {"http.request.method": request.method, "request": handler.request_id}
    with tracing.entered(name, began=began, **facts) as note:
        yield
        note(**{"http.response.status_code": handler.get_status()})
