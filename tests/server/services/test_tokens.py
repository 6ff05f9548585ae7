"""Which JSON Web Tokens are good, and how the keys that they are checked with are come by."""

import asyncio
import base64
import hashlib
import hmac
import json
import math
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import structs
from tornado.ioloop import IOLoop

from server.app import open_services
from server.domain.errors import LatchkeyError, Unauthenticated
from server.fetching import fetch_document
from server.services.jwks import PUBLIC_KEY_ALGORITHMS, IssuerUnavailable, Jwks, JwksTimes
from server.services.tokens import LONGEST_TOKEN, SharedSecret, TokenPolicy, Tokens
from server.settings import Settings
from tests.server.services.issuer import AUDIENCE, ISSUER, Issuer, good_claims, public_jwk

SECRET = "a secret of the installation, long enough"
QUICK = JwksTimes(max_age_s=0.2, stale_for_s=0.8, ask_every_s=0.05)


@pytest.fixture
def issuer(io_loop: IOLoop) -> Iterator[Issuer]:
    """An issuer with one key, ``k1``."""
    issuer = io_loop.run_sync(_issuer)
    issuer.add_key("k1")
    yield issuer
    io_loop.run_sync(issuer.close)


async def _issuer() -> Issuer:
    return Issuer()


def tokens_of(
    issuer: Issuer,
    times: JwksTimes | None = None,
    algorithms: tuple[str, ...] = PUBLIC_KEY_ALGORITHMS,
) -> Tokens:
    policy = TokenPolicy(issuer=ISSUER, audience=AUDIENCE, algorithms=algorithms)
    return Tokens(policy, Jwks(issuer.url, fetch_document, algorithms, times))


def tokens_with_secret(secret: str = SECRET) -> Tokens:
    policy = TokenPolicy(issuer=ISSUER, audience=AUDIENCE, algorithms=("HS256",))
    return Tokens(policy, SharedSecret(secret))


def signed_with_secret(secret: str = SECRET, headers: Any = None, **changed: Any) -> str:
    return jwt.encode(good_claims(**changed), secret, algorithm="HS256", headers=headers)


def part(fields: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).rstrip(b"=").decode()


def signed(signing_input: str, secret: bytes = SECRET.encode()) -> str:
    """A token of just these parts, whatever they say, signed with HS256."""
    mark = hmac.digest(secret, signing_input.encode(), hashlib.sha256)
    return f"{signing_input}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}"


async def verified(tokens: Tokens, token: str) -> bool:
    try:
        await tokens.verify(token)
    except Unauthenticated:
        return False
    return True


async def refusal(tokens: Tokens, token: str) -> type[LatchkeyError]:
    with pytest.raises(LatchkeyError) as refused:
        await tokens.verify(token)
    return refused.type


# Claims


async def test_a_good_token_says_who_it_is_and_for_which_organisation() -> None:
    exp = int(time.time()) + 60
    claims = await tokens_with_secret().verify(signed_with_secret(orgId="org-1", exp=exp))
    assert (claims.sub, claims.org_id, claims.exp.timestamp()) == ("guest-1", "org-1", exp)


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://somebody.else"},
        {"iss": None},
        {"iss": [ISSUER]},
        {"aud": "another-service"},
        {"aud": None},
        {"aud": ["another-service"]},
        {"exp": None},
        {"exp": int(time.time()) - 3600},
        {"exp": str(int(time.time()) + 3600)},
        {"exp": (int(time.time()) + 3600) * 1000 * 1000},
        {"exp": math.inf},
        {"exp": math.nan},
        {"exp": [1]},
        {"nbf": int(time.time()) + 3600},
        {"iat": int(time.time()) + 3600},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"orgId": 7},
        {"orgId": {"$ne": None}},
        {"orgId": ""},
    ],
    ids="-".join,  # the values change with the time, and tests side by side need one name
)
async def test_a_token_with_wrong_claims_is_refused(changed: dict[str, Any]) -> None:
    payload = good_claims() | {key: value for key, value in changed.items() if value is not None}
    for name in [name for name, value in changed.items() if value is None]:
        del payload[name]
    token = signed(f"{part({'alg': 'HS256'})}.{part(payload)}")
    assert await refusal(tokens_with_secret(), token) is Unauthenticated


@pytest.mark.parametrize(("claim", "seconds"), [("exp", -25), ("nbf", 25), ("iat", 25)])
async def test_clocks_may_differ_by_half_a_minute(claim: str, seconds: int) -> None:
    changed: dict[str, Any] = {claim: int(time.time()) + seconds}
    token = signed_with_secret(**changed)
    assert await verified(tokens_with_secret(), token)


@pytest.mark.parametrize(("claim", "seconds"), [("exp", -35), ("nbf", 40), ("iat", 40)])
async def test_clocks_may_not_differ_by_more(claim: str, seconds: int) -> None:
    changed: dict[str, Any] = {claim: int(time.time()) + seconds}
    token = signed_with_secret(**changed)
    assert not await verified(tokens_with_secret(), token)


# Signatures


async def test_a_token_signed_with_another_secret_is_refused() -> None:
    token = signed_with_secret("another secret, of 32 bytes or more")
    assert not await verified(tokens_with_secret(), token)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None, 7, ["none"]])
@pytest.mark.parametrize("signature", ["", "AAAA"])
async def test_a_token_without_a_signature_is_refused(
    issuer: Issuer, algorithm: object, signature: str
) -> None:
    token = f"{part({'alg': algorithm, 'kid': 'k1'})}.{part(good_claims())}.{signature}"
    assert not await verified(tokens_with_secret(), token)
    assert not await verified(tokens_of(issuer), token)


@pytest.mark.parametrize("algorithm", PUBLIC_KEY_ALGORITHMS)
async def test_every_pinned_algorithm_works_with_keys_from_the_issuer(
    issuer: Issuer, algorithm: str
) -> None:
    issuer.add_key("other", algorithm)
    assert await verified(tokens_of(issuer), issuer.token("other"))


async def test_an_algorithm_that_is_not_pinned_is_refused(issuer: Issuer) -> None:
    issuer.add_key("rsa", "RS256")
    tokens = tokens_of(issuer, algorithms=("EdDSA",))
    assert not await verified(tokens, issuer.token("rsa"))
    assert await verified(tokens, issuer.token("k1"))


async def test_a_public_key_is_no_secret_for_hs256(issuer: Issuer) -> None:
    issuer.add_key("rsa", "RS256")
    public_key = issuer.keys["rsa"][1].public_key()
    tokens = tokens_of(issuer)
    assert await verified(tokens, issuer.token("rsa"))
    secrets = [
        public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public_key.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        json.dumps(public_jwk(issuer.keys["rsa"][1])).encode(),
    ]
    signing_input = f"{part({'alg': 'HS256', 'kid': 'rsa'})}.{part(good_claims())}"
    for secret in secrets:
        forged = signed(signing_input, secret)
        assert not await verified(tokens, forged)
        # Not even where HS256 is among the algorithms by mistake.
        careless = TokenPolicy(issuer=ISSUER, audience=AUDIENCE, algorithms=("RS256", "HS256"))
        keys = Jwks(issuer.url, fetch_document, ("RS256", "HS256"))
        assert not await verified(Tokens(careless, keys), forged)


async def test_a_secret_among_the_issuers_keys_is_ignored(issuer: Issuer) -> None:
    known = base64.urlsafe_b64encode(SECRET.encode()).decode()
    keys = [
        {"kty": "oct", "k": known, "kid": "k1"},
        public_jwk(issuer.keys["k1"][1]) | {"kid": "k2"},
    ]
    issuer.body = json.dumps({"keys": keys}).encode()
    token = signed_with_secret(headers={"kid": "k1"})
    assert not await verified(tokens_of(issuer), token)


async def test_a_key_of_one_kind_does_not_verify_another_algorithm(issuer: Issuer) -> None:
    issuer.add_key("rsa", "RS256")
    _, _, signature = issuer.token("rsa").split(".")
    token = f"{part({'alg': 'ES256', 'kid': 'rsa'})}.{part(good_claims())}.{signature}"
    assert not await verified(tokens_of(issuer), token)


async def test_a_token_with_a_secret_is_refused_where_the_issuer_has_keys_and_back(
    issuer: Issuer,
) -> None:
    assert not await verified(tokens_of(issuer), signed_with_secret())
    assert not await verified(tokens_with_secret(), issuer.token())


@pytest.mark.parametrize("secret", ["too short", "x" * 31, "é" * 15])
def test_a_secret_must_have_32_bytes(secret: str) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SharedSecret(secret)


def test_a_public_key_is_not_taken_for_a_secret() -> None:
    key = generate_private_key(65537, 2048)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(ValueError, match="public key"):
        SharedSecret(pem)
    with pytest.raises(ValueError, match="public key"):
        SharedSecret(json.dumps(public_jwk(key)))


def test_a_secret_does_not_show_itself() -> None:
    assert SECRET not in repr(SharedSecret(SECRET))


@pytest.mark.parametrize("name", ["jku", "x5u"])
async def test_keys_that_a_token_points_to_are_not_fetched(issuer: Issuer, name: str) -> None:
    stranger = await _issuer()
    stranger.add_key("k1")
    token = stranger.token(headers={"kid": "k1", name: stranger.url})
    assert not await verified(tokens_of(issuer), token)
    assert stranger.asked == 0
    await stranger.close()


async def test_a_key_that_a_token_brings_along_does_not_count(issuer: Issuer) -> None:
    stranger = await _issuer()
    stranger.add_key("k1")
    jwk = public_jwk(stranger.keys["k1"][1])
    token = stranger.token(headers={"kid": "k1", "jwk": jwk})
    await stranger.close()
    assert not await verified(tokens_of(issuer), token)


# Shapes


@pytest.mark.parametrize("critical", [["b64"], ["exp"], [], "b64", None])
async def test_a_token_with_critical_extensions_is_refused(critical: object) -> None:
    token = signed(f"{part({'alg': 'HS256', 'crit': critical})}.{part(good_claims())}")
    assert not await verified(tokens_with_secret(), token)


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "....",
        "no token",
        "\x00",
        "é.é.é",
        "\ud800.\ud800.",
        f"{part('text')}.{part(good_claims())}.AAAA",
        f"{part([])}.{part(good_claims())}.AAAA",
        f"{part({'alg': 'HS256', 'kid': 7})}.{part(good_claims())}.AAAA",
        f"{base64.urlsafe_b64encode(b'[' * 4000).decode()}.AAAA.AAAA",
        f"{part({'alg': 'HS256'})}.{base64.urlsafe_b64encode(b'[' * 4000).decode()}.AAAA",
    ],
    ids=lambda token: ascii(token)[:30],
)
async def test_what_is_no_token_is_refused(issuer: Issuer, token: str) -> None:
    assert await refusal(tokens_with_secret(), token) is Unauthenticated
    assert await refusal(tokens_of(issuer), token) is Unauthenticated


@pytest.mark.parametrize("claims", [[1], "text", 7, None])
async def test_claims_that_are_no_object_are_refused(claims: object) -> None:
    token = signed(f"{part({'alg': 'HS256'})}.{part(claims)}")
    assert not await verified(tokens_with_secret(), token)


async def test_a_signed_token_that_nests_deeply_is_refused() -> None:
    nested = base64.urlsafe_b64encode(b'{"a":' * 1200).rstrip(b"=").decode()
    token = signed(f"{part({'alg': 'HS256'})}.{nested}")
    assert not await verified(tokens_with_secret(), token)


async def test_a_huge_token_is_refused_unread() -> None:
    fits = signed_with_secret(note="x" * 5000)
    huge = signed_with_secret(note="x" * LONGEST_TOKEN)
    assert await verified(tokens_with_secret(), fits)
    assert not await verified(tokens_with_secret(), huge)
    started = time.perf_counter()
    assert not await verified(tokens_with_secret(), huge * 1000)
    assert time.perf_counter() - started < 0.1


# The issuer's keys


async def test_keys_are_fetched_once_and_kept(issuer: Issuer) -> None:
    tokens = tokens_of(issuer)
    for _ in range(20):
        assert await verified(tokens, issuer.token())
    assert issuer.asked == 1


async def test_many_at_once_wait_for_the_same_answer(issuer: Issuer) -> None:
    issuer.answers_after_s = 0.1
    tokens = tokens_of(issuer)
    assert all(await asyncio.gather(*(verified(tokens, issuer.token()) for _ in range(50))))
    assert issuer.asked == 1


async def test_one_who_leaves_does_not_take_the_answer_from_the_others(issuer: Issuer) -> None:
    issuer.answers_after_s = 0.2
    tokens = tokens_of(issuer)
    first = asyncio.create_task(tokens.verify(issuer.token()))
    second = asyncio.create_task(tokens.verify(issuer.token()))
    await asyncio.sleep(0.05)
    first.cancel()
    assert (await second).sub == "guest-1"
    assert issuer.asked == 1


async def test_a_new_key_is_found_and_an_old_one_forgotten(issuer: Issuer) -> None:
    tokens = tokens_of(issuer, JwksTimes(ask_every_s=0.05))
    old = issuer.token("k1")
    assert await verified(tokens, old)
    issuer.keys.clear()
    issuer.add_key("k2")
    await asyncio.sleep(0.06)
    assert await verified(tokens, issuer.token("k2"))
    assert not await verified(tokens, old)


async def test_a_key_that_the_issuer_withdraws_is_forgotten_with_age(issuer: Issuer) -> None:
    tokens = tokens_of(issuer, QUICK)
    token = issuer.token("k1")
    assert await verified(tokens, token)
    issuer.keys.clear()
    issuer.add_key("k2")
    await asyncio.sleep(QUICK.max_age_s)
    assert not await verified(tokens, token)


async def test_a_storm_of_unknown_keys_does_not_reach_the_issuer(issuer: Issuer) -> None:
    tokens = tokens_of(issuer, JwksTimes(ask_every_s=0.3))
    stranger = issuer.keys["k1"][1]
    started = time.monotonic()
    while time.monotonic() - started < 0.7:
        token = jwt.encode(
            good_claims(), stranger, algorithm="EdDSA", headers={"kid": f"k{time.monotonic_ns()}"}
        )
        assert not await verified(tokens, token)
        await asyncio.sleep(0)
    assert issuer.asked <= 4
    assert await verified(tokens, issuer.token())


async def test_a_token_without_a_key_id_is_good_where_there_is_only_one_key(
    issuer: Issuer,
) -> None:
    issuer.add_key("rsa", "RS256")
    token = issuer.token(headers={})
    assert await verified(tokens_of(issuer), token)
    issuer.add_key("k2", "EdDSA")
    assert not await verified(tokens_of(issuer), token)


@pytest.mark.expects_log("jwks_not_fetched")
async def test_old_keys_go_on_for_a_while_where_the_issuer_is_away(issuer: Issuer) -> None:
    tokens = tokens_of(issuer, QUICK)
    token = issuer.token()
    assert await verified(tokens, token)
    await issuer.close()
    await asyncio.sleep(QUICK.max_age_s)
    assert await verified(tokens, token)
    await asyncio.sleep(QUICK.stale_for_s - QUICK.max_age_s)
    assert await refusal(tokens, token) is IssuerUnavailable


@pytest.mark.expects_log("jwks_not_fetched")
async def test_the_issuer_is_found_again(issuer: Issuer) -> None:
    tokens = tokens_of(issuer, QUICK)
    issuer.status = 503
    assert await refusal(tokens, issuer.token()) is IssuerUnavailable
    issuer.status = 200
    await asyncio.sleep(QUICK.ask_every_s)
    assert await verified(tokens, issuer.token())


@pytest.mark.expects_log("jwks_not_fetched")
async def test_an_issuer_that_is_away_is_not_asked_by_every_request(issuer: Issuer) -> None:
    issuer.status = 500
    tokens = tokens_of(issuer)
    for _ in range(20):
        assert await refusal(tokens, issuer.token()) is IssuerUnavailable
    assert issuer.asked == 1


@pytest.mark.expects_log("jwks_not_fetched")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"7",
        b"{}",
        b'{"keys": []}',
        b'{"keys": {}}',
        b'{"keys": 7}',
        b'{"keys": [7, null, {}]}',
        b'{"keys": [{"kty": "RSA", "n": 5, "e": []}]}',
        b'{"keys": [{"kty": "oct", "k": "AAAA"}]}',
        b'{"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": ["x"]}]}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"keys": ' + b"[" * 100_000,
        b" " * 300_000 + b"{}",
    ],
    ids=lambda body: repr(body[:40]),
)
async def test_what_is_no_jwks_document_counts_as_no_answer(issuer: Issuer, body: bytes) -> None:
    issuer.body = body
    assert await refusal(tokens_of(issuer), issuer.token()) is IssuerUnavailable


@pytest.mark.expects_log("jwks_not_fetched")
async def test_keys_are_not_fetched_from_where_the_issuer_sends_us(issuer: Issuer) -> None:
    issuer.status = 302
    assert await refusal(tokens_of(issuer), issuer.token()) is IssuerUnavailable
    assert issuer.asked == 1


@pytest.mark.expects_log("jwks_not_fetched")
async def test_weak_and_misused_keys_are_ignored(issuer: Issuer) -> None:
    weak = generate_private_key(65537, 1024)  # noqa: S505  # weak on purpose
    issuer.keys["weak"] = ("RS256", weak)
    issuer.add_key("for-encryption")
    issuer.body = json.dumps(
        {
            "keys": [
                public_jwk(weak) | {"kid": "weak"},
                public_jwk(issuer.keys["for-encryption"][1])
                | {"kid": "for-encryption", "use": "enc"},
            ]
        }
    ).encode()
    assert await refusal(tokens_of(issuer), issuer.token("for-encryption")) is IssuerUnavailable


async def test_closing_ends_a_fetch_that_is_under_way(issuer: Issuer) -> None:
    issuer.answers_after_s = 1
    tokens = tokens_of(issuer)
    waiting = asyncio.create_task(tokens.verify(issuer.token()))
    await asyncio.sleep(0.05)
    await tokens.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_server_with_a_jwks_url_knows_its_operators(
    issuer: Issuer, settings: Settings, mongodb_uri: str, database: object
) -> None:
    with_jwks = structs.replace(
        settings, jwt_secret=None, jwt_jwks_url=issuer.url, jwt_issuer=ISSUER
    )
    async with open_services(with_jwks, mongodb_uri) as services:
        operator = await services.auth.operator(None, issuer.token(orgId="org-1"))
        assert operator.org_id == "org-1"
        with pytest.raises(Unauthenticated):
            await services.auth.operator(None, signed_with_secret(orgId="org-1"))
