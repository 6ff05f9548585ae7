"""The connection to a real NATS, which comes and goes: what is not sent now is never sent."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trustme

from server.bus.embedded_nats import EmbeddedNats
from server.bus.nats_link import LinkDown, NatsLink, NoAnswer, NobodyListens
from tests.faults.processes import Nats, free_port
from tests.faults.proxy import in_front_of
from tests.house import until

WITHIN_S = 20


@asynccontextmanager
async def linked(url: str) -> AsyncIterator[NatsLink]:
    link = NatsLink(url)
    running = asyncio.create_task(link.run_forever())
    try:
        yield link
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.expects_log("nats_away")
async def test_without_nats_nothing_is_waited_for_longer_than_was_said():
    async with linked(f"nats://127.0.0.1:{free_port()}") as link:
        assert not await link.until_up(0.5)
        assert not link.is_up
        with pytest.raises(LinkDown):
            await link.request("subject", b"", WITHIN_S)
        with pytest.raises(LinkDown):
            await link.ping()


async def test_of_several_servers_one_that_is_there_is_found(nats_server: EmbeddedNats):
    async with linked(f"nats://127.0.0.1:{free_port()}, {nats_server.url}") as link:
        assert await link.until_up(WITHIN_S)


async def test_a_subject_without_listeners_is_told_at_once(nats_server: EmbeddedNats):
    async with linked(nats_server.url) as link:
        await link.until_up(WITHIN_S)
        with pytest.raises(NobodyListens):
            await link.request("nobody", b"", WITHIN_S)


async def test_a_listener_that_does_not_answer_is_not_waited_for_any_longer(
    nats_server: EmbeddedNats,
):
    async with linked(nats_server.url) as link, linked(nats_server.url) as other:
        await link.until_up(WITHIN_S)
        await other.until_up(WITHIN_S)
        await other.listen("silent", lambda *_: None)
        with pytest.raises(NoAnswer):
            await link.request("silent", b"", 0.2)


@pytest.mark.expects_log("nats_lost")
@pytest.mark.expects_log("nats_away")
async def test_after_an_outage_listeners_hear_again_and_nothing_that_was_said_meanwhile(
    tmp_path: Path,
):
    nats = Nats(tmp_path / "nats.log")
    await nats.start()
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    url = f"nats://127.0.0.1:{nats.port}"
    async with linked(url) as link, linked(url) as other:
        await other.listen("news", lambda message, *_: heard.put_nowait(message))
        await link.until_up(WITHIN_S)
        await other.until_up(WITHIN_S)
        os.kill(nats.pid, signal.SIGKILL)
        await nats.exit_status()
        link.publish("news", b"while it was away")
        await nats.start()
        async with asyncio.timeout(WITHIN_S):
            while heard.empty():
                link.publish("news", b"afterwards")
                await asyncio.sleep(0.05)
        assert await heard.get() == b"afterwards"
    await nats.kill()


@pytest.mark.expects_log("nats_lost")
async def test_a_link_works_again_after_answers_came_too_late(nats_server: EmbeddedNats):
    port = int(nats_server.url.rpartition(":")[2])
    async with (
        in_front_of(("127.0.0.1", port)) as proxy,
        linked(f"nats://127.0.0.1:{proxy.port}") as link,
    ):
        await link.until_up(WITHIN_S)
        proxy.to_client.stall()
        with pytest.raises(LinkDown):
            await link.ping()
        proxy.to_client.flow()

        async def works() -> bool:
            with suppress(NoAnswer, LinkDown):
                await link.request("nobody", b"", 1)
            return False

        with pytest.raises(NobodyListens):
            await until(works)


@pytest.mark.expects_log("nats_away")
async def test_a_server_that_does_not_encrypt_is_not_told_the_password(nats_server: EmbeddedNats):
    url = nats_server.url.replace("nats://", "tls://user:password@")
    async with linked(url) as link:
        assert not await link.until_up(1)


@pytest.mark.expects_log("eof_received")  # asyncio's own, of any TLS stream that ends
async def test_a_server_that_encrypts_is_trusted_by_its_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    nats = Nats(tmp_path / "nats.log")
    files = [f"--tlscert={tmp_path / 'certificate.pem'}", f"--tlskey={tmp_path / 'key.pem'}"]
    await nats.start("--tls", *files, "--user=user", "--pass=password")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    async with linked(f"tls://user:password@127.0.0.1:{nats.port}") as link:
        assert await link.until_up(WITHIN_S)
    await nats.kill()


@pytest.mark.expects_log("nats_away")
async def test_a_server_with_a_strangers_certificate_is_not_trusted(tmp_path: Path):
    certificate = trustme.CA().issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    nats = Nats(tmp_path / "nats.log")
    files = [f"--tlscert={tmp_path / 'certificate.pem'}", f"--tlskey={tmp_path / 'key.pem'}"]
    await nats.start("--tls", *files)
    async with linked(f"tls://127.0.0.1:{nats.port}") as link:
        assert not await link.until_up(1)
    await nats.kill()
