"""Keys at the desk: issued with a form that loses nothing, listed, explained, revoked."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from server import clock
from tests.handlers.dashboard.desk import Desk
from tests.house import House

NEW = "/dashboard/keys/new"


def form(**more: Any) -> list[tuple[str, Any]]:
    """What an operator types for a key of two days at a lock that is called Garden gate."""
    now = clock.now()
    fields = {
        "description": "Ms Lind",
        "door0_lock": "Garden gate",
        "valid_from": now.strftime("%Y-%m-%dT%H:%M"),
        "valid_until": (now + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M"),
        **more,
    }
    return [
        (name, value)
        for name, values in fields.items()
        for value in (values if isinstance(values, list) else [values])
    ]


async def test_a_key_is_issued_as_typed_in_the_time_of_its_door(house: House):
    gate, shed = await house.device("Garden gate", "Asia/Tokyo"), await house.device("Shed")
    made = await (await Desk.of(house)).press(
        NEW,
        form(
            valid_from="2030-07-01T15:00",
            valid_until="2030-07-03T11:00",
            door1_lock=f"#{shed.lock_id}",
            door1_label="Bicycles",
            max_uses="20",
            window0_days=["mon", "tue"],
            window0_begin="08:00",
            window0_until="17:00",
        ),
    )
    assert made.status == 303
    (key,) = (await house.manage("GET", "/temp-keys")).json()["tempKeys"]
    assert made.location == f"/dashboard/keys/{key['uuid']}?new=yes"
    assert (key["validFrom"], key["validUntil"]) == (
        "2030-07-01T06:00:00.000Z",
        "2030-07-03T02:00:00.000Z",
    )
    doors = [(door["lockId"], door["label"]) for door in key["doors"]]
    assert doors == [(str(gate.lock_id), None), (str(shed.lock_id), "Bicycles")]
    assert (key["maxUses"], key["description"]) == (20, "Ms Lind")
    assert key["schedule"] == [{"days": ["mon", "tue"], "from": "08:00", "until": "17:00"}]


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"door0_lock": "No such door"}, "door0"),
        ({"door0_lock": ""}, "door0"),
        ({"valid_from": "soon"}, "valid_from"),
        ({"valid_until": "2020-01-01T10:00"}, "valid_until"),
        ({"max_uses": "often"}, "max_uses"),
        ({"max_uses": "0"}, "max_uses"),
        ({"door0_method": "code"}, "door0"),
    ],
)
async def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_lost(
    house: House, typed: dict[str, str], field: str
):
    await house.device("Garden gate")
    refused = await (await Desk.of(house)).press(NEW, form(door0_label="Gate", **typed))
    assert refused.status == 400
    wrong = refused.html.select_one(f"#{field}[aria-invalid=true]")
    assert wrong is not None, refused.html.get_text()
    said_by = str(wrong["aria-describedby"]).split()[-1]
    assert refused.text(f"#{said_by}")
    values = {str(one.get("name")): one.get("value") for one in refused.html.select("input")}
    assert (values["description"], values["valid_from"]) == (
        "Ms Lind",
        dict(form(**typed))["valid_from"],
    )
    if typed.get("door0_lock") != "":
        assert values["door0_label"] == "Gate"
    assert (await house.manage("GET", "/temp-keys")).json()["tempKeys"] == []


async def test_hours_that_are_not_whole_are_said_beside_them(house: House):
    await house.device("Garden gate")
    refused = await (await Desk.of(house)).press(NEW, form(window0_days=["mon"]))
    assert refused.text("#window0-wrong").startswith("Choose days")
    assert refused.html.select_one("#w0-mon[checked]") is not None


async def test_two_locks_of_one_name_are_told_apart_by_number(house: House):
    _, second = await house.device("Garden gate"), await house.device("Garden gate")
    desk = await Desk.of(house)
    assert (await desk.press(NEW, form())).status == 400
    named = form(door0_lock=f"Garden gate #{second.lock_id}")
    assert (await desk.press(NEW, named)).status == 303
    (key,) = (await house.manage("GET", "/temp-keys")).json()["tempKeys"]
    assert key["doors"][0]["lockId"] == str(second.lock_id)


async def test_the_list_is_in_pages_and_of_one_lock_where_asked(house: House):
    one, two = await house.device("Gate"), await house.device("Shed")
    for number in range(51):
        await house.key(one, description=f"Guest {number}")
    await house.key(two, description="Shed guest")
    desk = await Desk.of(house)
    first = await desk.visit("/dashboard/keys")
    assert len(first.html.select("tbody tr")) == 50
    older = first.html.select_one("a[rel=next]")
    assert older is not None
    assert "Guest 0" in (await desk.visit(str(older["href"]))).text("tbody")
    of_two = await desk.visit(f"/dashboard/keys?lock={two.lock_id}")
    assert [row.get_text() for row in of_two.html.select("tbody th a")] == ["Shed guest"]


async def test_the_page_gives_the_link_and_says_why_it_would_not_open(house: House):
    device = await house.device("Garden gate", "Europe/Rome")
    key = await house.key(device)
    desk = await Desk.of(house)
    asked = urlencode({"door": 1, "at": "2031-11-30T23:30"})
    page = await desk.visit(f"/dashboard/keys/{key.uuid}?{asked}")
    link = page.html.select_one("#link")
    assert link is not None
    assert link["value"] == f"{house.url}/temp-keys/{key.uuid}"
    assert page.text("#answer").startswith("No: Garden gate does not open on Sunday 30 November")
    assert "This key has expired" in page.text(".rules .bad")
    picture = await desk.visit(f"/dashboard/keys/{key.uuid}/qr.svg")
    assert picture.response.headers["Content-Type"] == "image/svg+xml"


async def test_a_revoked_key_says_so_and_cannot_be_revoked_again(house: House):
    key = await house.key(await house.device())
    desk = await Desk.of(house)
    revoked = await desk.press(f"/dashboard/keys/{key.uuid}/revoke")
    page = await desk.visit(revoked.location)
    assert page.text(".head .chip") == "Revoked"
    assert page.html.select_one(f'form[action="/dashboard/keys/{key.uuid}/revoke"]') is None


async def test_the_log_never_shows_the_uuid_of_a_key(
    house: House, caplog: pytest.LogCaptureFixture
):
    key = await house.key(await house.device(), description="Ms Lind")
    await (await Desk.of(house)).visit(f"/dashboard/keys/{key.uuid}")
    assert key.uuid not in caplog.text
    assert re.search(r"/dashboard/keys/…", caplog.text)
