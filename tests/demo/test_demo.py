"""The demo as its user meets it: one command, a link, and nothing left after Ctrl-C."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).parents[2]
LIMIT_S = 30.0


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


browser = urllib.request.build_opener(NoRedirects, urllib.request.ProxyHandler({}))


def request(
    url: str, form: dict[str, str] | None = None, headers: dict[str, str] | None = None
) -> HTTPResponse:
    body = None if form is None else urllib.parse.urlencode(form).encode()
    headers = {"Accept": "text/html", **(headers or {})}
    asked = urllib.request.Request(url, body, headers)  # noqa: S310 - the demo's own address
    try:
        return browser.open(asked, timeout=LIMIT_S)
    except urllib.error.HTTPError as error:
        return error  # type: ignore[return-value]  # an answer as well


def page(url: str) -> str:
    with request(url) as answer:
        assert answer.status == 200
        return answer.read().decode()


def attribute(html: str, name: str) -> str:
    found = re.search(rf'{name}="([^"]*)"', html)
    assert found is not None, f"no {name} in {html}"
    return found[1].replace("&amp;", "&")


def tap_open(link: str) -> str:
    """Send the form of a guest page; the confirmation page's address."""
    html = page(link)
    form = {"attempt": re.findall(r'name="attempt" value="([^"]+)"', html)[0]}
    with request(urllib.parse.urljoin(link, attribute(html, "action")), form) as answer:
        assert answer.status == 303
        return urllib.parse.urljoin(link, answer.headers["Location"])


def follow(confirmation: str) -> list[str]:
    """The states that the confirmation page's event stream shows, up to the last."""
    html = page(confirmation)
    with request(urllib.parse.urljoin(confirmation, attribute(html, "data-stream"))) as stream:
        return re.findall(r'data-state="([^"]+)"', stream.read().decode())


class Demo:
    """A demo that was started and has printed its line."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self._process = process
        self._log = log
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, self.said
        self.facts: dict[str, Any] = json.loads(line)
        self.parts = psutil.Process(process.pid).children(recursive=True)

    def __getitem__(self, name: str) -> Any:
        return self.facts[name]

    def ask(self, path: str) -> Any:
        """The server's answer to an operator."""
        headers = {"X-API-Key": self["apiKey"]}
        with request(self["url"] + path, headers=headers) as answer:
            return json.load(answer)

    @property
    def said(self) -> str:
        return self._log.read_text()

    def end(self, number: signal.Signals | None = None) -> int:
        """Send a signal, if any, and wait for the end; the exit status."""
        if number is not None:
            self._process.send_signal(number)
        rest, _ = self._process.communicate(timeout=LIMIT_S)
        assert rest == "", "it printed more than its line"
        return self._process.returncode

    def left_over(self) -> list[psutil.Process]:
        """What it started and still runs, after what dies with it had time to."""
        _, alive = psutil.wait_procs(self.parts, timeout=LIMIT_S)
        return alive


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LATCHKEY_")}
    environment["TMPDIR"] = str(temporary)

    with ExitStack() as started:

        def start_demo(*options: str) -> Demo:
            log = tmp_path / "demo.log"
            with log.open("w") as said:
                process = subprocess.Popen(
                    [sys.executable, "-m", "demo", "--json", *options],
                    cwd=ROOT,
                    env=environment,
                    stdout=subprocess.PIPE,
                    stderr=said,
                    text=True,
                )
            started.enter_context(process)
            started.callback(process.terminate)
            return Demo(process, log)

        yield start_demo
    assert list(temporary.glob("latchkey-demo-*")) == [], "a temporary folder was left"


def test_a_guest_opens_the_door_and_ctrl_c_leaves_nothing(start: Callable[..., Demo]):
    demo = start("--locks", "3", "--port", "0")

    with request(demo["health"]) as answer:
        health = json.load(answer)
    assert (health["status"], health["locksOnline"]) == ("ok", 2)
    confirmation = tap_open(demo["guest"])
    assert follow(confirmation)[-1] == "opened"
    assert "The door is open" in page(confirmation)

    assert "This lock is offline" in page(demo["offlineGuest"])
    confirmation = tap_open(demo["offlineGuest"])
    assert "offline=true" in confirmation
    assert "The device was offline when the command was sent." in page(confirmation)

    states = {name: attribute(page(link), "data-state") for name, link in demo["keys"].items()}
    assert states.pop("two-doors") == "valid"
    assert page(demo["keys"]["two-doors"]).count("<form") == 2
    assert states == {name: name for name in states}

    assert len(demo.ask("/locks")["locks"]) == 3
    token = {"Authorization": f"Bearer {demo['jwt']}"}
    with request(f"{demo['url']}/locks", headers=token) as answer:
        assert len(json.load(answer)["locks"]) == 3

    pids = {part.pid for part in demo.parts}
    assert pids.issuperset({demo["serverPid"], demo["frontDoorPid"], demo["fleetPid"]})
    assert len(pids) == 4  # and MongoDB
    for part in demo.parts:  # no secret where every user of the machine could read it
        assert not re.search(r"lk_|token|[A-Za-z0-9_-]{43}", " ".join(part.cmdline()[1:]))

    os.kill(demo["frontDoorPid"], signal.SIGSTOP)  # a paused lock does not hold up the end
    assert demo.end(signal.SIGINT) == 0
    assert not any(part.is_running() for part in demo.parts)


def test_a_second_start_on_the_same_folder_goes_on_with_the_first(
    start: Callable[..., Demo], tmp_path: Path
):
    options = ("--locks", "5", "--port", "0", "--data", str(tmp_path / "data"))
    first = start(*options)
    first.end(signal.SIGKILL)
    if sys.platform == "linux":
        assert first.left_over() == []

    second = start(*options)
    assert second["apiKey"] == first["apiKey"]
    for name in ("guest", "offlineGuest", "lowBatteryGuest", "jammedGuest"):
        ours, before = urllib.parse.urlsplit(second[name]), urllib.parse.urlsplit(first[name])
        assert ours.path == before.path
    assert len(second.ask("/locks")["locks"]) == 5
    assert len(second.ask("/temp-keys")["tempKeys"]) == 10
    assert "The battery is low" in page(second["lowBatteryGuest"])
    assert "The bolt was jammed" in page(second["jammedGuest"])
    assert follow(tap_open(second["guest"]))[-1] == "opened"
    assert second.end(signal.SIGTERM) == 0
    assert (tmp_path / "data" / "credentials.json").stat().st_mode & 0o777 == 0o600


def test_a_taken_port_is_stepped_over_and_without_locks_there_are_no_keys(
    start: Callable[..., Demo],
):
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        taken = theirs.getsockname()[1]
        demo = start("--locks", "0", "--port", str(taken))
        port = urllib.parse.urlsplit(demo["url"]).port
        assert port is not None
        assert port > taken
        assert f"port {taken} is taken, so it is {port}" in demo.said
        assert demo["guest"] is demo["offlineGuest"] is demo["frontDoorPid"] is None
        assert set(demo["keys"].values()) == {None}
        assert demo.ask("/locks") == {"locks": []}
        assert demo.end(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("part", "told"), [("frontDoorPid", "the front door"), ("mongod", "MongoDB")]
)
def test_a_part_that_dies_is_named_and_ends_the_demo(
    start: Callable[..., Demo], part: str, told: str
):
    demo = start("--locks", "1", "--port", "0")
    pids = {process.name(): process.pid for process in demo.parts}
    os.kill(pids.get(part) or demo[part], signal.SIGKILL)
    assert demo.end() == 1
    assert f"{told} ended by itself" in demo.said
    assert "It said last:" in demo.said
    assert not any(process.is_running() for process in demo.parts)


def test_a_guest_at_one_of_two_servers_opens_a_door_whose_lock_hangs_on_the_other(
    start: Callable[..., Demo],
):
    demo = start("--nodes", "2", "--locks", "6", "--port", "0")
    here, there = (server["url"] for server in demo["servers"])
    assert demo["guest"].startswith(here)
    states = follow(tap_open(demo["guest"].replace(here, there)))
    assert states[-1] == "opened"
    health = json.loads(request(f"{there}/health").read())
    assert (health["nats"]["ok"], health["locksOnline"]) == (True, 5)
    assert health["locksOnlineHere"] == 2
    assert demo.end(signal.SIGINT) == 0
    assert demo.left_over() == []
