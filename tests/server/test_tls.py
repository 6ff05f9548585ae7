"""The server's own certificate: real handshakes with a server that is a process of its own."""

import asyncio
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
from tornado.ioloop import IOLoop

from server.environment import SettingsError
from server.settings import Settings
from server.storage.mongo import Database
from server.tls import Certificate
from tests.faults.processes import Process, free_port


class Files(NamedTuple):
    """Where a certificate and its key are."""

    certificate: Path
    key: Path

    def write(self, issued: trustme.LeafCert) -> None:
        certificate, *chain = issued.cert_chain_pems
        certificate.write_to_path(self.certificate)
        for above in chain:
            above.write_to_path(self.certificate, append=True)
        issued.private_key_pem.write_to_path(self.key)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(tmp_path: Path, authority: trustme.CA) -> Files:
    """A certificate for this machine."""
    files = Files(tmp_path / "server.pem", tmp_path / "server.key")
    files.write(authority.issue_cert("127.0.0.1"))
    return files


class TlsServer(Process):
    """A server with a certificate of its own, and a client that trusts its authority."""

    def __init__(self, log: Path, authority: trustme.CA) -> None:
        super().__init__(log)
        self.port = free_port()
        self._trust = ssl.create_default_context()
        authority.configure_trust(self._trust)

    async def ask(self, path: str) -> tuple[str, str]:
        """The answer to a GET, head and all, and the serial number of who gave it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self._trust)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        peer = writer.get_extra_info("peercert")
        writer.close()
        return answer.decode(), peer["serialNumber"]


@pytest.fixture
def server(
    io_loop: IOLoop,
    mongodb_uri: str,
    database: Database,
    settings: Settings,
    authority: trustme.CA,
    files: Files,
    tmp_path: Path,
) -> Iterator[TlsServer]:
    """A server that speaks TLS."""
    server = TlsServer(tmp_path / "server.log", authority)
    variables = {
        "LATCHKEY_MONGODB_URI": mongodb_uri,
        "LATCHKEY_MONGODB_DATABASE": settings.mongodb_database,
        "LATCHKEY_PORT": str(server.port),
        "LATCHKEY_LOG_FORMAT": "json",
        "LATCHKEY_TLS_CERTIFICATE": str(files.certificate),
        "LATCHKEY_TLS_KEY": str(files.key),
    }
    io_loop.run_sync(lambda: server.spawn(["-m", "server", "serve"], variables))
    yield server
    io_loop.run_sync(server.kill)


async def test_a_server_with_a_certificate_speaks_tls_and_takes_another_without_a_restart(
    server: TlsServer, authority: trustme.CA, files: Files
):
    await server.until_said(f"https://127.0.0.1:{server.port}")
    live, first = await server.ask("/health/live")
    missing, _ = await server.ask("/static/nowhere.css")
    for answer in (live, missing):
        assert "Strict-Transport-Security: max-age=31536000\r\n" in answer

    files.write(authority.issue_cert("127.0.0.1"))
    server.send(signal.SIGHUP)
    await server.until_said("certificate_reloaded")
    _, second = await server.ask("/health/live")
    assert second != first

    files.key.write_text("no key at all")
    server.send(signal.SIGHUP)
    await server.until_said("certificate_not_reloaded")
    assert (await server.ask("/health/live"))[1] == second

    server.ask_to_end()
    assert await server.exit_status() == 0


def test_nothing_older_than_tls_1_2_is_spoken(files: Files):
    assert Certificate(*files).context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("missing", ["certificate", "key"])
def test_a_certificate_that_cannot_be_read_is_named(files: Files, missing: str):
    getattr(files, missing).unlink()
    with pytest.raises(SettingsError, match="LATCHKEY_TLS_CERTIFICATE: Cannot be used"):
        Certificate(*files)


def test_a_key_of_another_certificate_is_refused(files: Files, authority: trustme.CA):
    authority.issue_cert("localhost").private_key_pem.write_to_path(files.key)
    with pytest.raises(SettingsError, match="LATCHKEY_TLS_CERTIFICATE: Cannot be used"):
        Certificate(*files)


@pytest.mark.expects_log("certificate_not_reloaded")
def test_a_key_that_does_not_fit_leaves_the_one_in_use_as_it_was(
    files: Files, authority: trustme.CA
):
    used = Certificate(*files)
    authority.issue_cert("localhost").private_key_pem.write_to_path(files.key)
    used.reload()
    assert handshake(used, authority) == "127.0.0.1"


def handshake(certificate: Certificate, authority: trustme.CA) -> str:
    """Shake hands in memory; to whom the certificate belongs."""
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    server = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    peer = client.getpeercert()
    assert peer is not None
    return str(peer["subjectAltName"][0][1])  # type: ignore[index]  # typeshed knows less of it
