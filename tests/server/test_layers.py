"""The arrows between the layers run one way: handlers → services → storage, bus → domain.

Every module's imports are read from its source, wherever in it they stand: at the top,
inside a function, or for type checkers only.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MAY_IMPORT: dict[str, set[str]] = {
    # The layers
    "server.domain": {"server.domain"},
    "server.storage": {"server.storage", "server.domain", "server.child_process"},
    "server.bus": {
        "server.bus",
        "server.domain",
        "server.clock",
        "server.child_process",
        "server.tracing",
    },
    "server.services": {
        "server.services",
        "server.storage",
        "server.bus",
        "server.domain",
        "server.clock",
        "server.tracing",
        "server.__version__",
    },
    "handlers": {
        "handlers",
        "server.services",
        "server.domain",
        "server.clock",
        "server.tracing",
        "server.__version__",
    },
    # What stands beside them
    "server": set(),
    "server.child_process": set(),
    "server.clock": set(),
    "server.listening": {"server.domain"},
    "server.fetching": set(),
    "server.log_writer": set(),
    "server.logs": {"server.log_writer"},
    "server.metrics": {"server.services", "server.domain", "server.__version__"},
    "server.opentelemetry_tracer": {
        "server.tracing",
        "server.domain",
        "server.logs",
        "server.__version__",
    },
    "server.service_manager": set(),
    "server.environment": {"server.settings", "server.domain"},
    "server.settings": {"server.domain"},
    "server.tls": {"server.environment"},
    "server.tracing": {"server.opentelemetry_tracer"},
    "server.webhook_client": {"server.domain", "server.__version__"},
    # Where they are put together
    "server.wiring": {
        "server.services",
        "server.storage",
        "server.bus",
        "server.domain",
        "server.fetching",
        "server.logs",
        "server.metrics",
        "server.settings",
        "server.webhook_client",
    },
    "server.app": {
        "handlers",
        "server.services",
        "server.storage",
        "server.domain",
        "server.logs",
        "server.settings",
        "server.wiring",
    },
    "server.reference": {
        "handlers.error_answers",
        "server.domain",
        "server.metrics",
        "server.settings",
    },
    "server.console": {"server.storage", "server.domain", "server.settings"},
    "server.shell": {
        "server.app",
        "server.console",
        "server.services",
        "server.domain",
        "server.clock",
        "server.settings",
    },
    "server.upkeep": {
        "server.console",
        "server.storage",
        "server.domain",
        "server.settings",
    },
    "server.__main__": {
        "server.app",
        "server.console",
        "server.environment",
        "server.listening",
        "server.reference",
        "server.service_manager",
        "server.shell",
        "server.services",
        "server.storage",
        "server.domain",
        "server.logs",
        "server.settings",
        "server.tls",
        "server.tracing",
        "server.upkeep",
    },
    # The lock's side of the wire knows the protocol, and nothing else of the server
    "simulator": {
        "simulator",
        "server.domain.protocol",
        "server.domain.errors",
        "server.domain.times",
    },
}
"""Which of our own modules each part may import; a module's part is the longest name that fits."""

ONLY_IN: dict[str, set[str]] = {
    "motor": {"server.storage"},
    "pymongo": {"server.storage"},
    "bson": {"server.storage"},
    "tornado": {
        "handlers",
        "server.app",
        "server.fetching",
        "server.listening",
        "server.logs",
        "server.webhook_client",
    },
    "jwt": {"server.services"},
    "standardwebhooks": {"server.services"},
    "environs": {"server.environment"},
    "websockets": {"simulator"},
    "nats": {"server.bus"},
    "prometheus_client": {"server.metrics"},
    "opentelemetry": {"server.opentelemetry_tracer"},
}
"""Packages that are kept in one place, so that they can be replaced there."""

ONLY_WITH: dict[str, set[str]] = {
    "server.domain": {"msgspec"},
    "server.clock": set(),
    "server.child_process": set(),
}
"""Parts that use nothing but the standard library and these packages."""

OURS = {"server", "handlers", "simulator", "demo", "bench", "tests"}


def imports_of(module: str, source: str, *, is_package: bool = False) -> Iterator[str]:
    """The full name of everything that the source of ``module`` imports."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                origin = ".".join([*above, origin]).rstrip(".")
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def is_within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def part_of(module: str) -> str | None:
    """The part of the table that ``module`` belongs to."""
    if module in MAY_IMPORT:
        return module
    parts = [part for part in MAY_IMPORT if part != "server" and is_within(module, part)]
    return max(parts, key=len, default=None)


def wrong_arrows(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """Each import of ``module`` that the tables do not allow."""
    part = part_of(module)
    if part is None:
        return [f"{module} belongs to no part of the table"]
    wrong: list[str] = []
    for imported in imports_of(module, source, is_package=is_package):
        top = imported.partition(".")[0]
        if top in OURS:
            allowed = any(is_within(imported, ours) for ours in MAY_IMPORT[part])
        elif top in sys.stdlib_module_names:
            allowed = True
        else:
            allowed = part in ONLY_IN.get(top, {part})
            allowed = allowed and top in ONLY_WITH.get(part, {top})
        if not allowed:
            wrong.append(f"{module} imports {imported}")
    return wrong


MODULES = sorted(
    path.relative_to(ROOT)
    for folder in ("server", "handlers", "simulator")
    for path in (ROOT / folder).rglob("*.py")
)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_every_import_follows_the_arrows(path: Path):
    is_package = path.name == "__init__.py"
    module = ".".join((path.parent if is_package else path.with_suffix("")).parts)
    source = (ROOT / path).read_text()
    assert wrong_arrows(module, source, is_package=is_package) == []


def test_modules_of_every_part_were_looked_at():
    names = [".".join(path.with_suffix("").parts) for path in MODULES]
    looked_at = {part_of(name.removesuffix(".__init__")) for name in names}
    assert looked_at == set(MAY_IMPORT)


# The checker itself


FORBIDDEN = [
    ("handlers.guest", "import server.storage.lock_store"),
    ("handlers.guest", "import server.storage"),
    ("handlers.guest", "from server import storage"),
    ("handlers.guest", "from server.storage.lock_store import LockStore"),
    ("handlers.guest", "from server.storage import mongo as database"),
    ("handlers.guest", "import json, server.bus.local_bus"),
    ("handlers.guest", "from server.app import make_app"),
    ("handlers.guest", "import motor.motor_asyncio"),
    ("handlers.guest", "from pymongo.errors import PyMongoError"),
    ("handlers.guest", "from bson import ObjectId"),
    ("server.services.opening", "import handlers.base"),
    ("server.services.opening", "from handlers import base"),
    ("server.services.opening", "import tornado.web"),
    ("server.services.opening", "from tornado import httpclient"),
    ("server.services.opening", "import pymongo"),
    ("server.services.opening", "import prometheus_client"),
    ("server.services.opening", "from server.metrics import PrometheusMetrics"),
    ("server.services.opening", "from server.app import make_app"),
    ("server.services.opening", "from server import app"),
    ("server.services.opening", "from server.settings import Settings"),
    ("server.storage.lock_store", "from server.services.opening import Opening"),
    ("server.storage.lock_store", "from server import services"),
    ("server.storage.lock_store", "from server.bus.base import Bus"),
    ("server.storage.lock_store", "import tornado"),
    ("server.bus.local_bus", "from server.storage import mongo"),
    ("server.bus.local_bus", "import tornado.queues"),
    ("server.domain.commands", "from server import clock"),
    ("server.domain.commands", "from server.storage.mongo import Document"),
    ("server.domain.commands", "import structlog"),
    ("server.domain.commands", "import tornado.web"),
    ("server.domain.commands", "import bson"),
    ("server.settings", "from server.services.auth import Auth"),
    ("simulator.lock", "from server.storage.mongo import connect"),
    ("simulator.lock", "from server.domain import temp_keys"),
    ("simulator.lock", "from server.domain.temp_keys import TempKey"),
    ("server.cellar.thing", "import json"),
]
ALLOWED = [
    ("handlers.guest", "from server.services.opening import Opening"),
    ("handlers.guest", "from handlers import base"),
    ("handlers.guest", "import tornado.web, msgspec"),
    ("server.services.opening", "from server.storage.lock_store import LockStore"),
    ("server.services.opening", "from server import clock"),
    ("server.services.opening", "from server import __version__"),
    ("server.storage.mongo", "from motor.motor_asyncio import AsyncIOMotorClient"),
    ("server.domain.commands", "import asyncio, msgspec"),
    ("server.domain.commands", "from server.domain import errors"),
    ("server.storage.mongo", "import motor, pymongo"),
    ("server.app", "import tornado"),
    ("simulator.lock", "from server.domain.protocol import Hello"),
]


@pytest.mark.parametrize(("module", "source"), FORBIDDEN)
def test_an_arrow_the_wrong_way_is_caught(module: str, source: str):
    assert wrong_arrows(module, source) != []


@pytest.mark.parametrize(("module", "source"), ALLOWED)
def test_an_arrow_the_right_way_is_let_through(module: str, source: str):
    assert wrong_arrows(module, source) == []


@pytest.mark.parametrize(
    "source",
    [
        "def later():\n    import server.storage.mongo",
        "async def later():\n    from server.storage import mongo",
        "class Guest:\n    from server.storage import mongo",
        "if TYPE_CHECKING:\n    from server.storage.mongo import Document",
        "try:\n    import server.storage\nexcept ImportError:\n    pass",
        "if True:\n    def inner():\n        if x:\n            from server.storage import mongo",
    ],
)
def test_an_import_is_found_wherever_it_stands(source: str):
    assert len(wrong_arrows("handlers.guest", source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("server.domain.commands", "from ..storage import mongo"),
        ("server.domain.commands", "from .. import storage"),
        ("server.services.opening", "from ..app import make_app"),
    ],
)
def test_a_relative_import_is_caught_too(module: str, source: str):
    assert wrong_arrows(module, source) != []


def test_a_relative_import_of_a_package_counts_from_the_package():
    assert wrong_arrows("server.domain", "from .errors import NotFound", is_package=True) == []
    assert wrong_arrows("server.domain", "from ..app import make_app", is_package=True) != []


def test_what_is_caught_is_named():
    source = "import json\nfrom server.storage.mongo import connect, ping"
    assert wrong_arrows("handlers.guest", source) == [
        "handlers.guest imports server.storage.mongo.connect",
        "handlers.guest imports server.storage.mongo.ping",
    ]
