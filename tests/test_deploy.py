"""The files of ``deploy/``, looked at by the programs that will read them."""

import asyncio
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from server.reference import every_setting
from tests.faults.processes import free_port
from tests.house import until

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "latchkey.service"
MOST_EXPOSURE = 15
"""In tenths, of 100: what systemd itself calls OK ends at 50."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed here"
)


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@needs_systemd
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path):
    here = tmp_path / UNIT.name
    here.write_text(UNIT.read_text().replace("/opt/latchkey/venv/bin/python", sys.executable))
    verified = analyze("verify", "--man=no", str(here))
    assert (verified.returncode, verified.stderr) == (0, "")


@needs_systemd
def test_a_server_under_the_unit_may_do_little():
    judged = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSURE}", str(UNIT))
    assert judged.returncode == 0, judged.stdout


@pytest.mark.skipif(shutil.which("caddy") is None, reason="Caddy is not installed here")
def test_caddy_finds_nothing_wrong_with_its_example():
    command = ["caddy", "validate", "--adapter=caddyfile", f"--config={DEPLOY / 'Caddyfile'}"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def test_every_setting_that_the_files_name_exists():
    known = {setting.variable for setting in every_setting()}
    for file in filter(Path.is_file, DEPLOY.iterdir()):
        named = set(re.findall(r"\bLATCHKEY_[A-Z0-9_]+", file.read_text()))
        assert {name.removesuffix("_FILE") for name in named} <= known, file.name


# The packages

locked = pytest.mark.parametrize("named", ["requirements", "requirements-tracing"])


def pins(name: str) -> dict[str, str]:
    """The version of each package that a file of requirements names."""
    found = re.findall(
        r"^([A-Za-z0-9_.-]+)(?:\[\w,]+)?==([^\s;\\]+)", (ROOT / name).read_text(), re.M
    )
    return {canonicalize_name(package): version for package, version in found}


@locked
def test_a_lock_file_has_the_versions_of_the_constraints_and_a_hash_for_each(named: str):
    lock = f"{named}.lock"
    locked, constrained = pins(lock), pins("constraints.txt")
    assert locked.items() <= constrained.items(), "its first lines say how it is made"
    entries = re.split(r"^(?=[a-z])", (ROOT / lock).read_text(), flags=re.M)[1:]
    assert len(entries) == len(locked)
    assert all("--hash=sha256:" in entry for entry in entries)


@locked
def test_a_lock_file_has_all_that_its_requirements_pull_in_and_nothing_else(named: str):
    lines = (ROOT / f"{named}.txt").read_text().splitlines()
    waiting = [Requirement(line) for line in lines if line and not line.startswith("#")]
    wanted: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        extras = requirement.extras or {""}
        marker = requirement.marker
        if marker is not None and not any(marker.evaluate({"extra": extra}) for extra in extras):
            continue
        name = canonicalize_name(requirement.name)
        wanted.add(name)
        for needed in importlib.metadata.requires(name) or []:
            below = Requirement(needed)
            if below.marker is None or any(below.marker.evaluate({"extra": e}) for e in extras):
                below.marker = None
                waiting.append(below)
    assert set(pins(f"{named}.lock")) == wanted, "its first lines say how it is made"


# The image


def test_what_the_image_is_built_from_is_there_and_is_sent_to_the_builder():
    sent = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines()}
    copied = re.findall(r"^COPY (?!--from)(\S+)", (ROOT / "Dockerfile").read_text(), re.M)
    assert "requirements.lock" in copied
    for part in copied:
        assert (ROOT / part).exists(), part
        assert part in sent, part


def test_the_image_does_nothing_but_run_the_script_and_is_not_root():
    image = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^RUN (.*)", image, re.M) == ["sh deploy/install.sh /opt/latchkey"]
    assert re.findall(r"^USER (.*)", image, re.M) == ["10001:10001"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the script has installed a server: ten seconds of work, and more on a busy machine."""
    place = tmp_path / "latchkey"
    command = ["sh", str(DEPLOY / "install.sh"), str(place)]
    environment = {**os.environ, "PYTHON": sys.executable}
    subprocess.run(command, env=environment, check=True, timeout=240)
    return place


@pytest.mark.timeout(300)
async def test_what_the_script_installs_serves_without_the_checkout(place: Path, mongodb_uri: str):
    port = free_port()
    served = await asyncio.create_subprocess_exec(
        str(place / "venv" / "bin" / "python"),
        "-m",
        "server",
        "serve",
        cwd=place,
        env={
            "LATCHKEY_MONGODB_URI": mongodb_uri,
            "LATCHKEY_MONGODB_DATABASE": "test_installed",
            "LATCHKEY_PORT": str(port),
        },
    )

    async def answers() -> bytes:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return b""
        writer.write(
            b"GET /docs HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
        )
        answer = await reader.read()
        writer.close()
        return answer

    try:
        assert (await until(answers)).startswith(b"HTTP/1.1 200")
        served.terminate()
        assert await served.wait() == 0
    finally:
        if served.returncode is None:
            served.kill()


def test_the_example_has_three_mongodbs_two_nats_servers_and_two_nodes():
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    images = [service["image"].partition(":")[0] for service in services.values()]
    assert (images.count("mongo"), images.count("nats"), images.count("latchkey")) == (4, 2, 2)
    for service in services.values():
        assert set(service["networks"]) <= {"inner", "outer"}
        if service["image"].startswith("mongo"):
            assert service["networks"] == ["inner"]
