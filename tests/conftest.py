"""The parts that tests run on: a real MongoDB, a running server on its own port, real locks."""

import asyncio
import inspect
import logging
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest
import tornado.web
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.platform.asyncio import AsyncIOLoop

from server import logs
from server.app import make_app, open_services
from server.bus.embedded_nats import EmbeddedNats, embedded_nats
from server.services.registry import Services
from server.settings import Secret, Settings
from server.storage import migrations, mongo
from server.storage.embedded_mongodb import embedded_mongodb
from tests.house import House

JWT_SECRET = "a secret for tests, of 32 bytes or more"
WEBHOOK_SECRET = "another secret for tests, of 32 bytes or more"
METRICS_TOKEN = "a token for the metrics, of 32 bytes or more"
TEST_TIMEOUT_S = 60
_REST_AFTER_A_SOAK_S = 240


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the soak last longer than in continuous integration."""
    parser.addoption(
        "--soak-seconds", type=float, default=120.0, metavar="S", help="length of the soak (120)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Send log lines, structlog's too, through ``logging``, where the tests look at them."""
    logs.configure("json", sys.stderr)
    # How long an example takes says more about the machine than about the code.
    hypothesis.settings.register_profile(
        "latchkey", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
    hypothesis.settings.load_profile("latchkey")
    config.addinivalue_line(
        "markers", "expects_log(text): an error or warning with this text belongs to the test"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run coroutine tests on Tornado's loop, and the fast tests first."""
    soak_timeout_s = config.option.soak_seconds + _REST_AFTER_A_SOAK_S
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            soaks = "soak_s" in item.fixturenames
            timeout_s = soak_timeout_s if soaks else TEST_TIMEOUT_S
            item.add_marker(pytest.mark.gen_test(timeout=timeout_s))
            if soaks:
                item.add_marker(pytest.mark.timeout(timeout_s))
    items.sort(key=_slowness)


def _slowness(item: pytest.Item) -> int:
    order = ("domain", "", "journeys", "browser", "contract", "demo", "faults")
    parts = Path(item.nodeid.split("::")[0]).parts
    return max((order.index(part) for part in parts if part in order), default=1)


@pytest.fixture(scope="session")
def mongodb_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A MongoDB that is a replica set of one, as in production's smallest form."""
    running = embedded_mongodb(tmp_path_factory.mktemp("mongodb"))
    with asyncio.Runner() as runner:
        yield runner.run(running.__aenter__())
        runner.run(running.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    """A NATS, for tests of several nodes."""
    running = embedded_nats(tmp_path_factory.mktemp("nats"))
    with asyncio.Runner() as runner:
        yield runner.run(running.__aenter__())
        runner.run(running.__aexit__(None, None, None))


@contextmanager
def fresh_loop() -> Iterator[IOLoop]:
    """An event loop, current until this ends."""
    loop = AsyncIOLoop(make_current=False)
    asyncio.set_event_loop(loop.asyncio_loop)
    yield loop
    asyncio.set_event_loop(None)
    loop.close(all_fds=True)


@pytest.fixture
def io_loop() -> Iterator[IOLoop]:
    """A fresh event loop for each test."""
    with fresh_loop() as loop:
        yield loop


@pytest.fixture(scope="session")
def database_name() -> str:
    """One database for all tests: to make one with its indexes for each would take longer."""
    return f"test_{secrets.token_hex(6)}"


@pytest.fixture
def settings(database_name: str) -> Settings:
    """The server's settings, with the tests' database and a quick heartbeat."""
    return Settings(
        mongodb_database=database_name,
        heartbeat_s=1.0,
        offline_after_s=3.0,
        hello_within_s=2.0,
        command_life_s=3.0,
        reports_kept_days=24_000,  # whatever times a test makes up
        jwt_secret=Secret(JWT_SECRET),
        webhook_secret=Secret(WEBHOOK_SECRET),
        webhook_loopback=True,
        webhook_timeout_s=2.0,
        webhook_retries_s=(0.05, 0.1, 0.2),
        metrics_token=Secret(METRICS_TOKEN),
    )


@pytest.fixture
def database(io_loop: IOLoop, mongodb_uri: str, settings: Settings) -> Iterator[mongo.Database]:
    """An empty database with its indexes, emptied again at the end."""
    client = mongo.connect(mongodb_uri, timeout_s=10)
    database = client[settings.mongodb_database]
    io_loop.run_sync(lambda: migrations.prepare(database))
    yield database
    io_loop.run_sync(lambda: _empty(database))
    client.close()


async def _empty(database: mongo.Database) -> None:
    for name in await database.list_collection_names():
        await database[name].delete_many({})


@pytest.fixture
def services(
    io_loop: IOLoop, mongodb_uri: str, settings: Settings, database: mongo.Database
) -> Iterator[Services]:
    """The running services of one server node."""
    running = open_services(settings, mongodb_uri)
    yield io_loop.run_sync(running.__aenter__)
    io_loop.run_sync(lambda: running.__aexit__(None, None, None))


@pytest.fixture
def app(services: Services) -> tornado.web.Application:
    """The web application, for pytest-tornado's ``http_server``."""
    return make_app(services)


@pytest.fixture
def http_server(
    io_loop: IOLoop, app: tornado.web.Application, _unused_port: tuple[object, int]
) -> Iterator[HTTPServer]:
    """The application on its port."""
    server = HTTPServer(app)
    server.add_socket(_unused_port[0])  # type: ignore[arg-type]  # pytest-tornado is untyped
    yield server
    server.stop()
    io_loop.run_sync(server.close_all_connections)


@pytest.fixture
def house(
    io_loop: IOLoop, services: Services, http_server: HTTPServer, base_url: str, tmp_path: Path
) -> Iterator[House]:
    """An organisation on the running server, with ways to make locks, keys and guests."""
    house = io_loop.run_sync(lambda: House.build(services, base_url, tmp_path))
    yield house
    io_loop.run_sync(house.close)


@pytest.fixture(autouse=True)
def no_unexpected_log_lines(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """Fail a test that leaves a warning or an error in the log which it did not announce."""
    yield
    expected = [mark.args[0] for mark in request.node.iter_markers("expects_log")]
    unexpected = [
        line.getMessage()
        for line in caplog.get_records("call")
        if line.levelno >= logging.WARNING
        and not any(text in line.getMessage() for text in expected)
    ]
    assert not unexpected


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have measured (``record_property``), for people to read."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    measured = [(name, value) for report in reports for name, value in report.user_properties]
    if measured:
        terminalreporter.section("measured")
        for name, value in measured:
            terminalreporter.write_line(f"{name}: {value}")
