"""Who is asking: API keys, tokens and device tokens, checked against a real MongoDB."""

import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from msgspec import structs

from server import clock
from server.app import open_services
from server.domain.errors import Unauthenticated
from server.domain.organizations import Guest
from server.domain.secrets import digest, new_api_key
from server.services.auth import Auth
from server.settings import Settings
from server.storage.mongo import Database
from tests.conftest import JWT_SECRET
from tests.house import House, another_node

MINUTE = timedelta(minutes=1)
LEEWAY = timedelta(seconds=30)


@pytest.fixture
def auth(house: House) -> Auth:
    return house.services.auth


def claims_with(**changes: Any) -> dict[str, Any]:
    """Good claims of an organisation's service; what is None is left out."""
    claims = {
        "sub": "anna",
        "orgId": "org",
        "iss": "latchkey",
        "aud": "latchkey",
        "exp": clock.now() + MINUTE,
    }
    return {name: value for name, value in (claims | changes).items() if value is not None}


def token_with(secret: str = JWT_SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    return jwt.encode(claims_with(**changes), secret, algorithm=algorithm)


def part(content: object) -> str:
    encoded = json.dumps(content, default=str).encode()
    return base64.urlsafe_b64encode(encoded).rstrip(b"=").decode()


# API keys


async def test_an_api_key_speaks_for_its_organisation(auth: Auth, house: House):
    operator = await auth.operator(house.api_key, None)
    assert operator.org_id == house.organization.id
    assert house.api_key not in operator.name


@pytest.mark.parametrize("secret", ["", "lk_", "lk_" + "x" * 40, "\x00", "lk_é"])
async def test_an_api_key_that_was_never_issued_is_refused(auth: Auth, secret: str):
    with pytest.raises(Unauthenticated):
        await auth.operator(secret, None)


async def test_the_digest_of_an_api_key_is_no_api_key(auth: Auth, house: House):
    with pytest.raises(Unauthenticated):
        await auth.operator(digest(house.api_key), None)


@pytest.mark.parametrize("field", ["expiresAt", "revokedAt"])
async def test_an_api_key_that_has_expired_or_was_revoked_is_refused(
    auth: Auth, house: House, database: Database, field: str
):
    in_force = {"digest": digest(house.api_key)}
    await database["apiKeys"].update_one(in_force, {"$set": {field: clock.now() + MINUTE}})
    assert (await auth.operator(house.api_key, None)).org_id == house.organization.id
    await database["apiKeys"].update_one(in_force, {"$set": {field: clock.now() - MINUTE}})
    with pytest.raises(Unauthenticated):
        await auth.operator(house.api_key, None)


# Tokens


async def test_a_token_with_an_organisation_speaks_for_it(auth: Auth):
    operator = await auth.operator(None, token_with())
    assert (operator.org_id, operator.user_id, operator.is_super) == ("org", None, False)
    assert "anna" in operator.name


async def test_a_token_without_an_organisation_speaks_for_its_user(auth: Auth):
    operator = await auth.operator(None, token_with(orgId=None))
    assert (operator.org_id, operator.user_id, operator.is_super) == (None, "anna", False)


async def test_a_user_and_a_service_of_the_same_name_are_told_apart(auth: Auth):
    user = await auth.operator(None, token_with(orgId=None))
    service = await auth.operator(None, token_with())
    assert user.name != service.name


async def test_a_token_is_good_within_the_leeway_of_its_expiry(auth: Auth):
    just_expired = token_with(exp=clock.now() - LEEWAY / 2)
    assert (await auth.operator(None, just_expired)).org_id == "org"


WRONG_CLAIMS: list[dict[str, Any]] = [
    {"exp": None},
    {"exp": 0},
    {"exp": "soon"},
    {"iss": None},
    {"iss": "somebody else"},
    {"aud": None},
    {"aud": "somebody else"},
    {"aud": []},
    {"sub": None},
    {"sub": 7},
    {"sub": ""},
    {"orgId": ""},
    {"orgId": 7},
    {"orgId": ["org"]},
    {"orgId": {"$ne": None}},
]


@pytest.mark.parametrize("changes", WRONG_CLAIMS, ids=str)
async def test_a_token_without_the_right_claims_is_refused(auth: Auth, changes: dict[str, Any]):
    in_a_minute = int((clock.now() + MINUTE).timestamp())
    claims = claims_with(**{"exp": in_a_minute} | changes)
    # PyJWT itself would not sign all of these.
    signed = jwt.PyJWS().encode(json.dumps(claims).encode(), JWT_SECRET, algorithm="HS256")
    with pytest.raises(Unauthenticated):
        await auth.operator(None, signed)


async def test_a_token_that_expired_before_the_leeway_is_refused(auth: Auth):
    with pytest.raises(Unauthenticated):
        await auth.operator(None, token_with(exp=clock.now() - LEEWAY - MINUTE))


async def test_a_token_that_is_not_good_yet_is_refused(auth: Auth):
    with pytest.raises(Unauthenticated):
        await auth.operator(None, token_with(nbf=clock.now() + LEEWAY + MINUTE))


async def test_a_token_signed_with_another_secret_is_refused(auth: Auth):
    with pytest.raises(Unauthenticated):
        await auth.operator(None, token_with("another secret, of 32 bytes or more"))


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
async def test_a_token_signed_in_another_way_is_refused(auth: Auth, algorithm: str):
    with pytest.raises(Unauthenticated):
        await auth.operator(None, token_with(JWT_SECRET * 2, algorithm))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, "RS256", "ES256"])
async def test_a_token_that_is_not_signed_or_says_so_is_refused(auth: Auth, algorithm: str | None):
    good = token_with()
    for signature in ("", good.rpartition(".")[2]):
        header = part({"typ": "JWT", "alg": algorithm})
        with pytest.raises(Unauthenticated):
            await auth.operator(None, f"{header}.{good.split('.')[1]}.{signature}")


async def test_a_token_that_was_changed_is_refused(auth: Auth):
    header, _, signature = token_with().split(".")
    changed = part(claims_with(orgId="another org", exp=2**40))
    with pytest.raises(Unauthenticated):
        await auth.operator(None, f"{header}.{changed}.{signature}")


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b.c", "é.é.é", "x" * 100_000, "WzE" * 20_000 + ".e30.x", "\x00"]
)
async def test_what_is_no_token_is_refused(auth: Auth, token: str):
    with pytest.raises(Unauthenticated):
        await auth.operator(None, token)


async def test_where_no_secret_is_configured_no_token_is_good(
    house: House, settings: Settings, mongodb_uri: str
):
    without = structs.replace(settings, jwt_secret=None)
    async with open_services(another_node(without), mongodb_uri) as services:
        with pytest.raises(Unauthenticated):
            await services.auth.operator(None, token_with())


# Both, or neither


async def test_without_a_credential_nobody_is_an_operator(auth: Auth):
    with pytest.raises(Unauthenticated, match="X-API-Key"):
        await auth.operator(None, None)


async def test_a_key_and_a_token_that_agree_are_good(auth: Auth, house: House):
    token = token_with(orgId=house.organization.id)
    assert (await auth.operator(house.api_key, token)).org_id == house.organization.id


async def test_a_key_and_a_token_that_do_not_agree_are_refused(auth: Auth, house: House):
    for org_id in ("another org", None):
        with pytest.raises(Unauthenticated):
            await auth.operator(house.api_key, token_with(orgId=org_id))


async def test_a_good_credential_does_not_make_up_for_a_bad_one(auth: Auth, house: House):
    token = token_with(orgId=house.organization.id)
    with pytest.raises(Unauthenticated):
        await auth.operator(house.api_key, "not a token")
    with pytest.raises(Unauthenticated):
        await auth.operator(new_api_key(), token)
    with pytest.raises(Unauthenticated):
        await auth.operator(house.api_key, "")


# Guests


async def test_a_guest_with_a_good_token_is_known(auth: Auth):
    assert await auth.guest(token_with(orgId=None)) == Guest(user_id="anna")


@pytest.mark.parametrize("token", [None, "", "nonsense", "a.b.c"])
async def test_a_guest_without_a_good_token_is_nobody(auth: Auth, token: str | None):
    assert await auth.guest(token) == Guest()


# Locks


async def test_a_lock_is_known_by_its_own_token_only(auth: Auth, house: House):
    lock, other = await house.device(), await house.device("Back door")
    assert (await auth.lock(lock.lock_id, lock.token)).id == lock.lock_id
    for lock_id, token in [
        (other.lock_id, lock.token),
        (99, lock.token),
        (lock.lock_id, None),
        (lock.lock_id, ""),
        (lock.lock_id, "x" * 43),
        (lock.lock_id, digest(lock.token)),
    ]:
        with pytest.raises(Unauthenticated):
            await auth.lock(lock_id, token)


async def test_an_unknown_lock_and_a_wrong_token_are_refused_in_the_same_words(
    auth: Auth, house: House
):
    lock = await house.device()
    said: list[str] = []
    for lock_id in (lock.lock_id, 99):
        with pytest.raises(Unauthenticated) as refused:
            await auth.lock(lock_id, "wrong")
        said.append(str(refused.value))
    assert said[0] == said[1]


async def test_a_token_that_was_replaced_is_refused(auth: Auth, house: House):
    lock = await house.device()
    await house.services.provisioning.issue_device_token(house.organization.id, lock.lock_id)
    with pytest.raises(Unauthenticated):
        await auth.lock(lock.lock_id, lock.token)
