"""The envelope of the SmartphoneKey API, made from an event as it is recorded."""

from datetime import UTC, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from server.domain.events import RecordedEvent
from server.domain.webhook_envelope import envelope, message_id

EVENT = RecordedEvent(
    id="command/abc/used",
    org_id="org",
    lock_id=17,
    version=3,
    type="TempKeyUsed",
    recorded_at=datetime(2026, 11, 23, 8, 0, 0, 123000, tzinfo=UTC),
    data={
        "lockId": 17,
        "timestamp": "2026-11-23T07:59:59.000Z",
        "tempKeyUuid": "key",
        "lockUuid": "lock",
        "usedCount": 2,
    },
    position=9,
)


def test_it_has_every_field_of_the_contract():
    assert msgspec.json.decode(envelope(EVENT)) == {
        "id": "command/abc/used",
        "source": "spk.api",
        "detail-type": "TempKeyUsed",
        "time": "2026-11-23T08:00:00.123Z",
        "region": "local",
        "account": "org",
        "version": "0",
        "resources": [],
        "detail": {
            "partnerId": "org",
            "aggregateType": "lock",
            "aggregateId": "lock",
            "version": 3,
            "timestamp": 1795420800123,
            "data": {
                "type": "TempKeyUsed",
                "lockId": 17,
                "timestamp": "2026-11-23T07:59:59.000Z",
                "tempKeyUuid": "key",
                "lockUuid": "lock",
                "usedCount": 2,
            },
        },
    }


def test_the_lock_is_named_by_its_uuid_however_the_event_calls_it():
    data = {"lockId": 17, "timestamp": "2026-11-23T07:59:59.000Z", "uuid": "of-the-lock"}
    other = structs.replace(EVENT, type="LockOnline", data=data)
    assert msgspec.json.decode(envelope(other))["detail"]["aggregateId"] == "of-the-lock"


def test_its_bytes_do_not_depend_on_when_it_is_sent_or_placed():
    assert envelope(EVENT) == envelope(structs.replace(EVENT, position=77))


def test_an_ordinary_id_stands_in_the_header_as_it_is():
    for event_id in ("presence/6f0d/online", "command/a9d5/opened", "64b7f0aa", "report/1/e-1/7"):
        assert message_id(event_id) == event_id


@given(st.text(max_size=80))
def test_no_id_breaks_out_of_its_header_or_of_what_is_signed(event_id: str):
    in_header = message_id(event_id)
    assert in_header.isascii()
    assert in_header.isprintable()
    assert not set(in_header) & set(" .,\r\n")


@given(st.text(max_size=80), st.text(max_size=80))
def test_different_ids_stay_different(one: str, other: str):
    assert (message_id(one) == message_id(other)) == (one == other)
