"""A guest, a lock and a page that follows along, through nginx with the configuration we ship."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from tornado.httpclient import AsyncHTTPClient, HTTPRequest

from simulator.options import LockOptions
from simulator.simulated_lock import SimulatedLock
from tests.faults.processes import free_port
from tests.house import BROWSER, QUICK_DOOR, House, Page, until
from tests.programs import program

EXAMPLE = Path(__file__).parents[2] / "deploy" / "nginx.conf"


class Nginx:
    """nginx with the example configuration, on free ports and with a certificate of its own."""

    def __init__(self, path: str, folder: Path, upstream: str) -> None:
        self._path = path
        self.folder = folder
        self.url = f"https://127.0.0.1:{(port := free_port())}"
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1")
        self.trusted = folder / "ca.pem"
        authority.cert_pem.write_to_path(self.trusted)
        issued.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
        changes = {
            r"listen 80;": f"listen 127.0.0.1:{free_port()};",
            r"listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
            r"/etc/nginx/doors\.example\.org\.(pem|key)": str(folder / "server.pem"),
            r"/var/log/nginx": str(folder),
            r"server 127\.0\.0\.1:8080": f"server {upstream}",
        }
        example = EXAMPLE.read_text()
        for pattern, here in changes.items():
            example, count = re.subn(pattern, here, example)
            assert count, pattern
        (folder / "nginx.conf").write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/nginx.log; worker_processes 1;\n"
            f"events {{}}\nhttp {{ client_body_temp_path {folder}/body;\n"
            f"proxy_temp_path {folder}/proxy; {example} }}\n"
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Nginx"]:
        process = await asyncio.create_subprocess_exec(
            self._path,
            "-p",
            str(self.folder),
            "-c",
            str(self.folder / "nginx.conf"),
            "-e",
            "stderr",
        )
        self.client = AsyncHTTPClient(force_instance=True)
        try:
            await until(self._answers)
            yield self
        finally:
            self.client.close()
            process.terminate()
            await process.wait()

    async def _answers(self) -> bool:
        try:
            return (await self.fetch("/health/live")).status == 200
        except OSError:
            return False

    async def fetch(self, path: str, method: str = "GET", body: str | None = None) -> Page:
        request = HTTPRequest(
            self.url + path,
            method=method,
            body=body,
            headers={"Accept": BROWSER},
            ca_certs=str(self.trusted),
            follow_redirects=False,
        )
        return Page(await self.client.fetch(request, raise_error=False))


@pytest.fixture(scope="session")
def nginx_path() -> str:
    return program("nginx", package="nginx-light")


async def test_a_guest_opens_a_door_through_nginx(
    house: House, nginx_path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    device = await house.device()
    key = await house.key(device)
    proxy = Nginx(nginx_path, tmp_path, house.url.removeprefix("http://"))
    monkeypatch.setenv("SSL_CERT_FILE", str(proxy.trusted))  # the lock's idea of whom to trust
    options = LockOptions(times=QUICK_DOOR, telemetry_every_s=None)
    async with proxy.running() as nginx:
        lock = SimulatedLock(device.lock_id, nginx.url, device.token, tmp_path / "lock", options)
        async with lock.connected():
            page = await nginx.fetch(f"/temp-keys/{key.uuid}")
            assert page.status == 200
            assert page.response.headers["Strict-Transport-Security"] == "max-age=31536000"
            assert page.response.headers.get("Server") == "nginx"
            tapped = await nginx.fetch(f"/temp-keys/{key.uuid}/doors/1/open", "POST", "")
            assert tapped.status == 303
            confirmation = await nginx.fetch(tapped.location)
            status = confirmation.html.select_one("#status")
            assert status is not None
            followed = await nginx.fetch(str(status["data-stream"]))
            assert "The door is open" in followed.response.body.decode()
            too_large = await nginx.fetch("/session", "POST", "x" * 300_000)
            assert too_large.status == 413
    for log in tmp_path.glob("*.log"):
        assert key.uuid not in log.read_text(), log.name
