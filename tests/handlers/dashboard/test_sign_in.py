"""Signing in to the dashboard: by whom, for how long, and never by another site's doing."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest

from server import clock
from server.domain.secrets import digest
from server.storage.mongo import Database
from tests.conftest import JWT_SECRET
from tests.handlers.asking import token_of
from tests.handlers.dashboard.desk import COOKIE, FORM, Desk, cookie_of, sign_in
from tests.house import BROWSER, House


async def test_an_api_key_signs_its_organisation_in(house: House):
    await house.device("Garden gate")
    answer = await sign_in(house, house.api_key)
    assert (answer.status, answer.location) == (303, "/dashboard")
    page = await Desk(house, cookie_of(answer)).visit()
    assert page.status == 200
    assert "Garden gate" in page.text("tbody")


async def test_an_owner_s_token_shows_the_owner_s_locks_alone(house: House):
    mine, _ = await house.device("Ann's door"), await house.device("Another door")
    await house.manage("POST", f"/locks/{mine.lock_id}/SetOwner", {"userId": "ann"})
    page = await (await Desk.of(house, token_of("ann"))).visit()
    assert "Ann's door" in page.text("tbody")
    assert "Another door" not in page.html.get_text()


async def test_the_cookie_is_kept_from_scripts_and_other_sites_and_holds_no_credential(
    house: House, database: Database
):
    answer = await sign_in(house, house.api_key)
    kept = answer.response.headers["Set-Cookie"]
    for word in (f"{COOKIE}=", "HttpOnly", "Secure", "SameSite=Lax", "Path=/"):
        assert word in kept
    assert "Domain" not in kept
    assert house.api_key not in kept
    stored = await database["operatorSessions"].find_one({})
    assert stored is not None
    assert cookie_of(answer).partition("=")[2] not in str(stored)
    assert house.api_key not in str(stored)


@pytest.mark.parametrize("credential", ["", "lk_" + "x" * 40, "no token", "a.b.c"])
async def test_a_wrong_credential_is_refused_on_the_same_page(house: House, credential: str):
    refused = await sign_in(house, credential, next="/dashboard?show=offline")
    assert refused.status == 401
    assert "Set-Cookie" not in refused.response.headers
    assert "no longer good" in refused.text('[role="alert"]')
    following = refused.html.select_one('input[name="next"]')
    assert following is not None
    assert following["value"] == "/dashboard?show=offline"


async def test_wrong_tries_are_slowed_and_right_ones_are_not_counted(house: House):
    for _ in range(12):
        assert (await sign_in(house, house.api_key)).status == 303
    refused = [(await sign_in(house, "lk_wrong")).status for _ in range(11)]
    assert refused == [401] * 10 + [429]
    late = await sign_in(house, house.api_key)
    assert late.status == 429
    assert int(late.response.headers["Retry-After"]) > 0


async def test_it_goes_on_to_the_page_that_was_asked_for(house: House):
    asked = await house.visit("/dashboard?show=offline")
    assert asked.location == "/dashboard/sign-in?next=%2Fdashboard%3Fshow%3Doffline"
    signed_in = await sign_in(house, house.api_key, next="/dashboard?show=offline")
    assert signed_in.location == "/dashboard?show=offline"


async def test_it_never_leads_to_another_site(house: House):
    for elsewhere in (
        "https://evil.example",
        "//evil.example",
        "/dashboard\\@evil",
        "/dashboardx",
        "/dashboard?\r\nX: y",
    ):
        answer = await sign_in(house, house.api_key, next=elsewhere)
        assert answer.location == "/dashboard", elsewhere


async def test_another_site_cannot_sign_a_visitor_in(house: House):
    answer = await house.fetch(
        "/dashboard/sign-in",
        "POST",
        f"credential={house.api_key}",
        Content_Type=FORM,
        Sec_Fetch_Site="cross-site",
    )
    assert answer.status == 403
    assert "Set-Cookie" not in answer.response.headers


async def test_a_session_ends_with_its_api_key(house: House):
    desk = await Desk.of(house)
    await house.services.provisioning.revoke_api_keys(house.organization.id)
    assert (await desk.visit()).status == 303
    assert (await desk.visit("/dashboard/stream", Accept="text/event-stream")).status == 401


async def test_a_session_lasts_no_longer_than_its_token(house: House, database: Database):
    soon = datetime.now(UTC) + timedelta(minutes=5)
    claims = {"sub": "desk", "iss": "latchkey", "aud": "latchkey", "exp": soon}
    token = jwt.encode(claims | {"orgId": house.organization.id}, JWT_SECRET, "HS256")
    desk = await Desk.of(house, token)
    (session,) = [one async for one in database["operatorSessions"].find()]
    assert session["expiresAt"] <= soon
    await database["operatorSessions"].update_one({}, {"$set": {"expiresAt": clock.now()}})
    assert (await desk.visit()).status == 303


async def test_signing_out_ends_the_session_wherever_its_cookie_is(house: House):
    desk = await Desk.of(house)
    out = await desk.press("/dashboard/sign-out")
    assert (out.status, out.location) == (303, "/dashboard/sign-in")
    assert (await desk.visit()).status == 303


async def test_a_guests_session_is_none_at_the_desk_and_the_other_way_round(house: House):
    guest = await house.fetch("/session", "POST", Authorization=f"Bearer {token_of('ann')}")
    cookie = guest.response.headers["Set-Cookie"].split(";")[0].partition("=")[2]
    page = await house.fetch("/dashboard", Accept=BROWSER, Cookie=f"{COOKIE}={cookie}")
    assert page.status == 303
    desk = (await Desk.of(house)).cookie.partition("=")[2]
    key = await house.key(
        await house.device(), access_mode="user-whitelist", allowed_user_ids=["a"]
    )
    refused = await house.fetch(f"/temp-keys/{key.uuid}", Cookie=f"__Host-latchkey={desk}")
    assert refused.status == 401


async def test_the_api_knows_no_cookie_of_the_desk(house: House):
    desk = await Desk.of(house)
    for path in ("/locks", "/temp-keys", "/events", "/stream"):
        assert (await house.fetch(path, Cookie=desk.cookie)).status == 401


async def test_a_session_is_known_by_its_digest_only(house: House, database: Database):
    desk = await Desk.of(house)
    cookie = desk.cookie.partition("=")[2]
    assert await database["operatorSessions"].find_one({"_id": digest(cookie)})
