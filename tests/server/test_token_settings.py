"""What may be set about tokens and sessions, and what a server makes of it."""

import pytest

from server.environment import SettingsError, read_settings

LONG = "a secret of thirty-two bytes, or more"


def problems(monkeypatch: pytest.MonkeyPatch, **variables: str) -> set[str]:
    for name, value in variables.items():
        monkeypatch.setenv(f"LATCHKEY_{name}", value)
    with pytest.raises(SettingsError) as refused:
        read_settings()
    return {name.removeprefix("LATCHKEY_") for name in refused.value.problems}


def test_without_anything_set_every_public_key_algorithm_is_pinned() -> None:
    settings = read_settings()
    assert (settings.jwt_secret, settings.jwt_jwks_url, settings.session_secret) == (None,) * 3
    assert settings.jwt_algorithms == ("EdDSA", "ES256", "RS256")


def test_the_issuers_keys_and_the_sessions_secret_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LATCHKEY_JWT_JWKS_URL", "https://id.example/jwks.json")
    monkeypatch.setenv("LATCHKEY_JWT_ALGORITHMS", "ES256,RS256")
    monkeypatch.setenv("LATCHKEY_SESSION_SECRET", LONG)
    settings = read_settings()
    assert settings.jwt_jwks_url == "https://id.example/jwks.json"
    assert settings.jwt_algorithms == ("ES256", "RS256")
    assert settings.session_secret is not None
    assert settings.session_secret.reveal() == LONG
    assert LONG not in repr(settings)


@pytest.mark.parametrize(
    "url", ["http://localhost:1/jwks", "http://127.0.0.1:1/jwks", "http://[::1]:1/jwks"]
)
def test_an_issuer_on_this_machine_needs_no_https(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("LATCHKEY_JWT_JWKS_URL", url)
    assert read_settings().jwt_jwks_url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "id.example",
        "http://id.example/jwks",
        "http://localhost.evil.example/jwks",
        "http://localhost@evil.example/jwks",
        "https://",
        "https:///jwks",
        "file:///etc/keys",
        "http://[",
    ],
)
def test_keys_are_not_fetched_from_anywhere(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert problems(monkeypatch, JWT_JWKS_URL=url) == {"JWT_JWKS_URL"}


@pytest.mark.parametrize("names", ["", "HS256", "none", "EdDSA,HS256", "eddsa"])
def test_only_public_key_algorithms_are_pinned(monkeypatch: pytest.MonkeyPatch, names: str) -> None:
    assert problems(monkeypatch, JWT_ALGORITHMS=names) == {"JWT_ALGORITHMS"}


def test_a_secret_and_an_issuers_keys_are_never_both_good(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://id.example/jwks.json"
    assert problems(monkeypatch, JWT_SECRET=LONG, JWT_JWKS_URL=url) == {"JWT_JWKS_URL"}


@pytest.mark.parametrize(
    "secret", [f"-----BEGIN PUBLIC KEY-----\n{LONG}", f"ssh-rsa {LONG}", f'{{"kty": "{LONG}"}}']
)
def test_a_public_key_is_no_secret(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    assert problems(monkeypatch, JWT_SECRET=secret) == {"JWT_SECRET"}


def test_a_sessions_secret_must_be_long(monkeypatch: pytest.MonkeyPatch) -> None:
    assert problems(monkeypatch, SESSION_SECRET="x" * 31) == {"SESSION_SECRET"}
