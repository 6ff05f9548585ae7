"""Posting to strangers' receivers: where nothing is sent, and what an answer counts."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from tornado.ioloop import IOLoop

from server.domain.errors import InvalidInput
from server.webhook_client import WebhookClient
from tests.receiver import Received, Receiver

HEADERS = {"Content-Type": "application/json", "webhook-id": "1"}
BODY = b'{"id": "1"}'
MORE_THAN_THE_SYSTEM_KEEPS = 32 * 1024 * 1024


@pytest.fixture
def receiver(io_loop: IOLoop) -> Iterator[Receiver]:
    async def start() -> Receiver:
        return Receiver()

    receiver = io_loop.run_sync(start)
    yield receiver
    io_loop.run_sync(receiver.close)


@pytest.fixture
def client() -> Iterator[WebhookClient]:
    client = WebhookClient(2.0, loopback_allowed=True)
    yield client
    client.close()


class Names:
    """A name server that says something else each time."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = iter(answers)
        self.asked = 0

    def look_up(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        self.asked += 1
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, 1, 6, "", (address, port))
            for address in next(self._answers)
        ]


async def test_a_body_is_posted_as_it_is(client: WebhookClient, receiver: Receiver):
    reply = await client.post(f"{receiver.url}/hook?token=1", HEADERS, BODY)
    [got] = receiver.received
    assert (reply.status, reply.error) == (204, None)
    assert (got.path, got.body) == ("/hook", BODY)
    assert got.headers["webhook-id"] == "1"
    assert got.headers["user-agent"].startswith("Latchkey/")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[::]"]
)
async def test_nothing_is_sent_to_this_machine_however_it_is_named(receiver: Receiver, host: str):
    client = WebhookClient(2.0)
    url = f"https://{host}:{receiver.port}/"
    reply = await client.post(url, HEADERS, BODY)
    with pytest.raises(InvalidInput) as refused:
        await client.check(url)
    client.close()
    assert refused.value.field == "url"
    assert reply.status is None
    assert reply.error in ("its host is not at a public address", "its host has no address")
    assert receiver.received == []


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_in_development_too_only_this_very_machine_is_within_reach(scheme: str):
    names = Names(["10.0.0.7"], ["::ffff:127.0.0.1"], ["169.254.169.254"])
    client = WebhookClient(2.0, loopback_allowed=True, lookup=names.look_up)
    for _ in range(3):
        reply = await client.post(f"{scheme}://inner.example/", HEADERS, BODY)
        assert reply.error == "its host is not at a public address"
    client.close()


async def test_plain_http_goes_to_no_public_address_in_development_either():
    client = WebhookClient(2.0, loopback_allowed=True, lookup=Names(["8.8.8.8"]).look_up)
    with pytest.raises(InvalidInput):
        await client.check("http://partner.example/")
    client.close()


async def test_a_name_with_one_inner_address_among_others_is_refused():
    client = WebhookClient(2.0, lookup=Names(["8.8.8.8", "10.0.0.1"]).look_up)
    reply = await client.post("https://partner.example/", HEADERS, BODY)
    client.close()
    assert reply.error == "its host is not at a public address"


async def test_a_name_is_asked_for_once_and_the_connection_goes_where_it_led(receiver: Receiver):
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    client = WebhookClient(2.0, loopback_allowed=True, lookup=names.look_up)
    reply = await client.post(f"http://partner.example:{receiver.port}/", HEADERS, BODY)
    client.close()
    assert (reply.status, names.asked) == (204, 1)
    assert receiver.received[0].headers["host"] == f"partner.example:{receiver.port}"


async def test_a_redirect_is_an_answer_and_is_not_followed(
    client: WebhookClient, receiver: Receiver
):
    async def elsewhere(_: Received) -> int:
        return 307

    receiver.answer = elsewhere
    receiver.headers = {"Location": f"{receiver.url}/elsewhere"}
    reply = await client.post(f"{receiver.url}/", HEADERS, BODY)
    assert reply.status == 307
    assert len(receiver.received) == 1


async def test_a_proxy_of_the_environment_is_not_asked(
    client: WebhookClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await client.post(f"{receiver.url}/", HEADERS, BODY)).status == 204


async def test_the_status_counts_however_long_the_answer_is(
    client: WebhookClient, receiver: Receiver
):
    receiver.words = b"x" * 200_000

    async def ok(_: Received) -> int:
        return 200

    receiver.answer = ok
    assert (await client.post(f"{receiver.url}/", HEADERS, BODY)).status == 200


async def test_a_receiver_that_does_not_answer_is_given_up_in_time(receiver: Receiver):
    async def never(_: Received) -> int:
        await asyncio.sleep(60)
        return 200

    receiver.answer = never
    client = WebhookClient(0.3, loopback_allowed=True)
    reply = await client.post(f"{receiver.url}/", HEADERS, BODY)
    client.close()
    assert reply.error == "no answer in time"


async def test_a_refused_connection_and_an_unknown_name_are_told_apart(client: WebhookClient):
    refused = await client.post("http://127.0.0.1:9/", HEADERS, BODY)
    unknown = await client.post("http://no-such-host.invalid/", HEADERS, BODY)
    assert refused.error == "connection refused"
    assert unknown.error in ("its host has no address", "no answer in time")


@asynccontextmanager
async def odd_server(answer: bytes, *, then_close: bool) -> AsyncIterator[str]:
    """A server that says these bytes to whatever it is asked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(BODY)
        writer.write(answer)
        await writer.drain()
        if not then_close:
            await reader.read()  # until the other end has had enough
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("answer", "then_close", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf of it", True, 200),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nand then nothing", False, 200),
        (b"HTTP/1.1 200 OK\r\nContent-Le", False, None),
        (b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", True, 503),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, True, None),
        (b"SSH-2.0-OpenSSH_9.6\r\n", True, None),
        (b"", True, None),
    ],
)
async def test_an_odd_answer_counts_by_its_status_or_not_at_all(
    answer: bytes, then_close: bool, status: int | None
):
    client = WebhookClient(0.5, loopback_allowed=True)
    async with odd_server(answer, then_close=then_close) as url:
        reply = await client.post(url, HEADERS, BODY)
    client.close()
    assert reply.status == status
    assert (reply.error is None) == (status is not None)


async def test_a_receiver_that_takes_no_more_of_the_request_is_given_up_in_time():
    client = WebhookClient(0.5, loopback_allowed=True)
    unread = b" " * MORE_THAN_THE_SYSTEM_KEEPS
    with socket.create_server(("127.0.0.1", 0)) as frozen:  # it accepts, and never reads
        reply = await client.post(f"http://127.0.0.1:{frozen.getsockname()[1]}/", HEADERS, unread)
    client.close()
    assert (reply.status, reply.error) == (None, "no answer in time")


# TLS


def server_certificate(folder: Path, name: str) -> ssl.SSLContext:
    """A certificate for a name, and its own authority in ``authority.pem``."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, SHA256())
    )
    (folder / "authority.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "authority.pem", folder / "key.pem")
    return context


@pytest.mark.expects_log("SSL Error")
@pytest.mark.parametrize(
    ("name", "status", "error"),
    [
        ("partner.example", 204, None),
        ("other.example", None, "its certificate is not good: Hostname mismatch"),
    ],
)
async def test_the_certificate_must_be_for_the_name_and_not_for_the_address(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    status: int | None,
    error: str | None,
):
    receiver = Receiver(server_certificate(tmp_path, "partner.example"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    client = WebhookClient(2.0, loopback_allowed=True, lookup=Names(["127.0.0.1"]).look_up)
    reply = await client.post(f"https://{name}:{receiver.port}/", HEADERS, BODY)
    client.close()
    await receiver.close()
    assert reply.status == status
    assert (reply.error or "").startswith(error or "")
    assert len(receiver.received) == (1 if status else 0)


@pytest.mark.expects_log("SSL Error")
async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path):
    receiver = Receiver(server_certificate(tmp_path, "partner.example"))
    client = WebhookClient(2.0, loopback_allowed=True, lookup=Names(["127.0.0.1"]).look_up)
    reply = await client.post(f"https://partner.example:{receiver.port}/", HEADERS, BODY)
    client.close()
    await receiver.close()
    assert (reply.error or "").startswith("its certificate is not good")
    assert receiver.received == []
