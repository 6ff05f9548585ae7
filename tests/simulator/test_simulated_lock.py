"""A whole lock over real sockets, with a small server that speaks the other side."""

import asyncio
import functools
import logging
from http import HTTPStatus

import pytest

from server.domain.protocol import Command, LockEvent, ResultStatus
from simulator import DoorTimes, Faults, LockOptions, SimulatedLock
from tests.simulator.lock_server import TOKEN, LockServer

QUICK = LockOptions(
    times=DoorTimes(bolt_s=0.01, guest_enters_after_s=0.01, door_stays_open_s=0.01),
    telemetry_every_s=None,
    reconnect_cap_s=0.05,
)


def run(test):
    """Run a coroutine test to its end, in a loop of its own."""

    @functools.wraps(test)
    def runs(**fixtures):
        asyncio.run(test(**fixtures))

    return runs


@pytest.fixture
def server():
    return LockServer()


@pytest.fixture
def make_lock(server, tmp_path):
    def make(options: LockOptions = QUICK, **changes) -> SimulatedLock:
        changed = LockOptions(**{**vars(options), **changes})
        return SimulatedLock(17, server.url, TOKEN, tmp_path, changed)

    return make


@run
async def test_a_lock_connects_with_its_token_and_without_compression(server, make_lock):
    async with server.running(), make_lock().connected() as lock:
        session = await server.session()
        assert lock.session_id == session.id
        assert session.hello.last_seq == 0
    assert server.paths == ["/locks/17/connect"]
    assert server.credentials == [f"Bearer {TOKEN}"]
    assert server.extensions == []


@run
async def test_a_command_opens_the_door_and_the_result_and_events_say_so(server, make_lock):
    async with server.running(), make_lock().connected() as lock:
        session = await server.session()
        await session.command("c-1")
        assert await session.result() == ("c-1", "accepted", None)
        assert await session.result() == ("c-1", "opened", None)
        assert await lock.wait_result("c-1") == (ResultStatus.OPENED, None)
        assert lock.openings == ["c-1"]
        assert server.events()[:1] in ([], ["opened"])
    assert lock.session_id is None


@run
async def test_a_reading_is_reported_until_it_is_acknowledged(server, make_lock):
    async with server.running(), make_lock().connected() as lock:
        assert await lock.report(battery=12) == 1
        assert await lock.report(battery=11) == 2
    assert server.values("battery") == [12, 11]


@run
async def test_readings_of_a_lock_without_a_server_arrive_later_once_each(server, make_lock):
    async with server.running():
        lock = make_lock()
        async with lock.connected():
            await lock.report(rssi=-1)
    lock.start()
    for number in range(2, 1200):
        lock.record(rssi=-number % 100 - 100)
    lock.record_event(LockEvent.TAMPERED)
    async with server.running():
        await lock.wait_acknowledged()
        await lock.disconnect()
    assert sorted(seq for _, seq in server.stored) == list(range(1, 1201))
    assert server.received == 1200
    assert server.events() == ["tampered"]


@run
async def test_a_rebooted_lock_remembers_its_numbers_and_its_commands(server, make_lock):
    async with server.running():
        first = make_lock()
        async with first.connected():
            session = await server.session()
            command = await session.command("c-1")
            await first.wait_result("c-1")
            await first.wait_acknowledged(await first.report(battery=50))
        second = make_lock()
        async with second.connected():
            session = await server.session()
            assert session.hello.last_seq >= 2
            await session.send(command)
            assert await session.result() == ("c-1", "opened", None)
            assert second.openings == ["c-1"]


@run
async def test_the_same_command_a_hundred_times_and_over_a_reboot_opens_once(server, make_lock):
    async def hear(command: Command) -> None:
        for _ in range(50):
            await session.send(command)
        answers = [await session.result() for _ in range(50)]
        assert set(answers) == {("c-1", "opened", None)}

    async with server.running():
        async with make_lock().connected():
            session = await server.session()
            command = await session.command("c-1")
            assert await session.result() == ("c-1", "accepted", None)
            assert await session.result() == ("c-1", "opened", None)
            await hear(command)
        rebooted = make_lock()
        async with rebooted.connected():
            session = await server.session()
            await hear(command)
        assert rebooted.openings == ["c-1"]


@run
async def test_a_lock_comes_back_after_its_connection_is_cut(server, make_lock):
    async with server.running(), make_lock().connected() as lock:
        first = await lock.wait_welcomed()
        lock.cut()
        assert not lock.is_welcomed
        assert await lock.wait_closed() == 1006
        assert await lock.wait_welcomed() != first


@run
async def test_a_command_that_outlives_its_connection_is_stale(server, make_lock):
    async with server.running(), make_lock().connected() as lock:
        old = await server.session()
        lock.cut()
        new = await server.session()
        await new.command("c-1", session_id=old.id)
        assert await new.result() == ("c-1", "refused", "stale")
        assert lock.openings == []


@pytest.mark.parametrize("code", [1000, 1001, 1012, 1013, 4002, 4003, 4008, 4009])
@run
async def test_a_lock_reconnects_when_it_is_told_to(server, make_lock, code):
    async with server.running(), make_lock().connected() as lock:
        session = await server.session()
        await session.socket.close(code, "again in 0 s")
        assert await lock.wait_closed() == code
        await server.session()


@run
async def test_a_lock_that_is_told_to_stay_away_does(server, make_lock):
    async with server.running(), make_lock().connected() as lock:
        session = await server.session()
        await session.socket.close(4001, "stay away")
        assert await lock.wait_closed() == 4001
        with pytest.raises(ConnectionError, match="stays away"):
            await lock.wait_welcomed()
        assert len(server.paths) == 1


@pytest.mark.expects_log("HTTP 401")
@run
async def test_a_bad_credential_is_told_once_and_tried_again(server, make_lock, caplog):
    caplog.set_level(logging.DEBUG)
    server.refuse_with = (HTTPStatus.UNAUTHORIZED, {})
    async with server.running():
        lock = make_lock()
        lock.start()
        assert await lock.wait_refused() == 401
        for _ in range(3):
            await server.request()
        server.refuse_with = None
        await lock.wait_welcomed()
        await lock.disconnect()
    assert caplog.text.count("HTTP 401") == 1
    assert TOKEN not in caplog.text


@run
async def test_a_full_server_is_asked_again_after_the_time_that_it_names(server, make_lock):
    server.refuse_with = (HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "0"})
    async with server.running():
        lock = make_lock()
        lock.start()
        assert await lock.wait_refused() == 503
        assert lock.last_ending is not None
        assert lock.last_ending.retry_after == "0"
        server.refuse_with = None
        await lock.wait_welcomed()
        await lock.disconnect()


@run
async def test_a_server_that_has_gone_silent_is_given_up(server, make_lock):
    server.pings_every_s = None
    server.offline_after_s = 1
    async with server.running(), make_lock().connected() as lock:
        assert await lock.wait_closed() == 1006
        assert lock.last_ending is not None
        assert "nothing heard for 1 s" in str(lock.last_ending)


@run
async def test_a_server_that_pings_is_not_given_up(server, make_lock):
    server.pings_every_s = None
    server.offline_after_s = 1
    async with server.running(), make_lock().connected() as lock:
        session = await server.session()
        for _ in range(15):
            pong = await session.socket.ping()
            await pong
            await asyncio.sleep(0.1)  # the pause between two pings
        assert lock.session_id == session.id


@run
async def test_a_server_that_does_not_speak_the_protocol_is_left(server, make_lock):
    server.subprotocols = []
    async with server.running():
        lock = make_lock()
        lock.start()
        assert await lock.wait_closed() == 1002
        await lock.disconnect()


@run
async def test_rubbish_from_a_server_ends_the_connection_and_not_the_lock(server, make_lock):
    async with server.running(), make_lock().connected() as lock:
        session = await server.session()
        await session.socket.send("{")
        assert await lock.wait_closed() == 1002
        await server.session()


@run
async def test_a_lock_says_goodbye(server, make_lock):
    async with server.running():
        async with make_lock().connected():
            session = await server.session()
        await session.socket.wait_closed()
        assert session.socket.close_code == 1000


@run
async def test_a_power_cut_is_no_goodbye(server, make_lock):
    async with server.running():
        lock = make_lock()
        lock.start()
        session = await server.session()
        await lock.power_off()
        await session.socket.wait_closed()
        assert session.socket.close_code == 1006


@run
async def test_a_lock_without_a_server_says_why_it_was_not_welcomed(server, make_lock):
    async with server.running():
        pass
    with pytest.raises(TimeoutError, match="not welcomed: ConnectionRefusedError"):
        async with make_lock().connected(timeout_s=0.5):
            pass


@run
async def test_a_lock_does_not_wait_for_ever_for_a_welcome(server, make_lock, monkeypatch):
    monkeypatch.setattr("simulator.connection.WELCOME_TIMEOUT_S", 0.2)
    server.welcomes = False
    async with server.running():
        lock = make_lock()
        lock.start()
        assert await lock.wait_closed() == 1006
        assert lock.last_ending is not None
        assert "no welcome" in lock.last_ending.reason
        await lock.disconnect()


@run
async def test_flash_older_than_the_server_knows_starts_a_new_epoch(server, make_lock):
    async with server.running():
        lock = make_lock()
        async with lock.connected():
            epoch = (await server.session()).hello.epoch
            await lock.report(battery=51)
            await lock.report(battery=50)
        (lock.directory / "reports.jsonl").write_text(f'{{"epoch":"{epoch}","lastSeq":0}}\n')
        lock = make_lock()
        lock.start()
        lock.record(battery=49)
        session = await server.session()
        if session.hello.epoch == epoch:  # the old one is welcomed before the lock finds out
            session = await server.session()
        assert session.hello.epoch != epoch
        await lock.wait_acknowledged()
        await lock.disconnect()
    assert sorted(map(str, server.values("battery"))) == ["49.0", "50.0", "51.0"]


# Faults.


@run
async def test_a_dropping_connection_loses_no_report_and_stores_none_twice(server, make_lock):
    async with server.running():
        lock = make_lock(faults=Faults(drop=0.2))
        lock.start()
        for number in range(100):
            lock.record(battery=number)
        await lock.wait_acknowledged(timeout_s=30)
        await lock.power_off()
    assert server.values("battery") == list(range(100))


@run
async def test_duplicated_frames_arrive_twice(server, make_lock):
    async with server.running(), make_lock(faults=Faults(duplicate=1)).connected() as lock:
        session = await server.session()
        await lock.report(battery=50)
        await session.command("c-1")
        statuses = [(await session.result())[1] for _ in range(4)]
        assert statuses == ["accepted", "accepted", "opened", "opened"]
    assert server.received >= 2
    assert lock.openings == ["c-1"]


@run
async def test_a_lost_result_is_followed_by_the_event_of_the_door(server, make_lock):
    async with server.running(), make_lock(faults=Faults(lose_result=1)).connected() as lock:
        session = await server.session()
        await session.command("c-1")
        await lock.wait_result("c-1")
        await lock.wait_acknowledged()
        assert session.results.empty()
    assert server.events()[0] == "opened"


@run
async def test_a_jammed_bolt_is_told(server, make_lock):
    async with server.running(), make_lock(faults=Faults(jam=1)).connected() as lock:
        session = await server.session()
        await session.command("c-1")
        assert await session.result() == ("c-1", "accepted", None)
        assert await session.result() == ("c-1", "failed", "jammed")
        assert lock.openings == []


@run
async def test_a_lock_that_stalls_longer_than_a_command_lives_refuses_it(server, make_lock):
    async with (
        server.running(),
        make_lock(faults=Faults(stall=1, stall_s=0.5)).connected() as lock,
    ):
        session = await server.session()
        await session.command("c-1", life_s=0.3)
        assert await session.result() == ("c-1", "refused", "expired")
        assert lock.openings == []


@run
async def test_a_lock_whose_own_clock_is_wrong_opens_all_the_same(server, make_lock):
    async with (
        server.running(),
        make_lock(faults=Faults(wrong_clock_s=-1e9)).connected(),
    ):
        session = await server.session()
        await session.command("c-1")
        assert await session.result() == ("c-1", "accepted", None)


@run
async def test_readings_come_by_themselves_and_a_low_battery_is_an_event(server, make_lock):
    async with (
        server.running(),
        make_lock(telemetry_every_s=0.01, battery=10).connected() as lock,
    ):
        await lock.wait_acknowledged(5)
    assert server.events() == ["lowBattery"]
    assert server.values("bolt")[0] == "locked"


def test_an_address_that_is_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not a server's address"):
        SimulatedLock(17, "localhost:8080", TOKEN, tmp_path)


@run
async def test_a_lock_can_be_switched_on_once(server, make_lock):
    async with server.running():
        lock = make_lock()
        lock.start()
        with pytest.raises(RuntimeError, match="on already"):
            lock.start()
        await lock.power_off()
