"""What an operator may set, read once from the environment (``LATCHKEY_…``)."""

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast

from environs import EnvValidationError, FileAwareEnv, validate
from msgspec import Struct

from server.domain.addresses import Network
from server.domain.errors import LatchkeyError
from server.domain.locks import LivenessPolicy

_LONGEST_S = 3600


class SettingsError(LatchkeyError):
    """Variables that cannot be used: every one of them, each with what is wrong."""

    reason = "bad_settings"

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("\n".join(f"{name}: {said}" for name, said in sorted(problems.items())))
        self.problems = problems


class Secret:
    """A string that does not show itself in logs or tracebacks; ``reveal`` gives it."""

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"


class Settings(Struct, frozen=True, kw_only=True):
    """One installation's settings; names that end in ``_s`` are seconds.

    Without ``mongodb_uri`` the server runs a MongoDB of its own in ``data_dir``.
    Tokens are signed with ``jwt_secret`` (HS256), or with the keys at ``jwt_jwks_url`` (one of
    ``jwt_algorithms``), or not accepted. Without ``session_secret`` MongoDB keeps one.
    Without ``pin_secret`` there are no PINs; another one makes those that were issued useless.
    ``X-Forwarded-For`` is believed of ``trusted_proxies`` only.
    """

    address: str = "127.0.0.1"
    port: int = 8080
    mongodb_uri: Secret | None = None
    mongodb_database: str = "latchkey"
    mongodb_timeout_s: float = 3.0
    data_dir: Path = Path.home() / ".local" / "share" / "latchkey"
    heartbeat_s: float = 20.0
    offline_after_s: float = 45.0
    hello_within_s: float = 10.0
    command_life_s: float = 8.0
    jwt_secret: Secret | None = None
    jwt_issuer: str = "latchkey"
    jwt_audience: str = "latchkey"
    jwt_jwks_url: str | None = None
    jwt_algorithms: tuple[str, ...] = ("EdDSA", "ES256", "RS256")
    session_secret: Secret | None = None
    pin_secret: Secret | None = None
    trusted_proxies: tuple[Network, ...] = ()
    log_format: str = "pretty"

    @property
    def liveness(self) -> LivenessPolicy:
        """How dead connections are found out."""
        return LivenessPolicy(heartbeat_s=self.heartbeat_s, offline_after_s=self.offline_after_s)


def read_settings() -> Settings:
    """Read the settings from the environment; what is not set has its default.

    Raises:
        SettingsError: with every variable that cannot be used.
    """
    env = FileAwareEnv(eager=False, prefix="LATCHKEY_")
    try:
        read = _read(env)
    except ValueError as error:
        raise SettingsError({"LATCHKEY_…_FILE": str(error)}) from error
    problems = _problems(env)
    durations = {"LATCHKEY_HEARTBEAT_S", "LATCHKEY_OFFLINE_AFTER_S"}
    if durations.isdisjoint(problems) and read["offline_after_s"] <= read["heartbeat_s"]:
        problems["LATCHKEY_OFFLINE_AFTER_S"] = "Must be longer than LATCHKEY_HEARTBEAT_S."
    if read["jwt_secret"] is not None and read["jwt_jwks_url"] is not None:
        problems["LATCHKEY_JWT_JWKS_URL"] = "Choose this or LATCHKEY_JWT_SECRET, never both."
    if problems:
        raise SettingsError(problems)
    return Settings(**read)


def _read(env: FileAwareEnv) -> dict[str, Any]:
    default = Settings()
    a_time = validate.Range(0.1, _LONGEST_S)
    a_word = validate.Length(min=1, error="Must not be empty.")
    mongodb_uri = env.str("MONGODB_URI", None, validate=_a_mongodb_uri)
    jwt_secret = env.str("JWT_SECRET", None, validate=[_long_enough, _not_a_public_key])
    session_secret = env.str("SESSION_SECRET", None, validate=_long_enough)
    pin_secret = env.str("PIN_SECRET", None, validate=_long_enough)
    trusted_proxies = env.list("TRUSTED_PROXIES", [], validate=_networks)
    return {
        "address": env.str("ADDRESS", default.address, validate=a_word),
        "port": env.int("PORT", default.port, validate=validate.Range(0, 65535)),
        "mongodb_uri": _secret(mongodb_uri),
        "mongodb_database": env.str(
            "MONGODB_DATABASE",
            default.mongodb_database,
            validate=validate.Regexp(
                r"[A-Za-z0-9_-]{1,63}\Z", error="Must be letters, digits, _ and -, at most 63."
            ),
        ),
        "mongodb_timeout_s": env.float(
            "MONGODB_TIMEOUT_S", default.mongodb_timeout_s, validate=a_time
        ),
        "data_dir": env.path("DATA", default.data_dir),
        "heartbeat_s": env.float("HEARTBEAT_S", default.heartbeat_s, validate=a_time),
        "offline_after_s": env.float("OFFLINE_AFTER_S", default.offline_after_s, validate=a_time),
        "hello_within_s": env.float("HELLO_WITHIN_S", default.hello_within_s, validate=a_time),
        "command_life_s": env.float(
            "COMMAND_LIFE_S", default.command_life_s, validate=validate.Range(3, 15)
        ),
        "jwt_secret": _secret(jwt_secret),
        "jwt_issuer": env.str("JWT_ISSUER", default.jwt_issuer, validate=a_word),
        "jwt_audience": env.str("JWT_AUDIENCE", default.jwt_audience, validate=a_word),
        "jwt_jwks_url": env.str("JWT_JWKS_URL", None, validate=_a_jwks_url),
        "jwt_algorithms": tuple(
            env.list("JWT_ALGORITHMS", list(default.jwt_algorithms), validate=_algorithms) or ()
        ),
        "session_secret": _secret(session_secret),
        "pin_secret": _secret(pin_secret),
        "trusted_proxies": tuple(_network(proxy) for proxy in trusted_proxies or ()),
        "log_format": env.str(
            "LOG_FORMAT", default.log_format, validate=validate.OneOf(["pretty", "json"])
        ),
    }


def _secret(value: str | None) -> Secret | None:
    # A file that an editor made ends in a newline, which nobody means.
    return None if value is None else Secret(value.strip())


def _problems(env: FileAwareEnv) -> dict[str, str]:
    try:
        env.seal()
    except EnvValidationError as error:
        problems = cast("dict[str, list[str]]", error.error_messages)
        return {name: " ".join(said) for name, said in problems.items()}
    return {}


def _long_enough(secret: str) -> None:
    if len(secret.strip().encode()) < 32:
        raise validate.ValidationError("Must have at least 32 bytes.")


def _a_mongodb_uri(uri: str) -> None:
    if not uri.strip().startswith(("mongodb://", "mongodb+srv://")):
        raise validate.ValidationError("Must begin with mongodb:// or mongodb+srv://.")


def _not_a_public_key(secret: str) -> None:
    if secret.lstrip().startswith(("-----BEGIN", "ssh-", "ecdsa-", "{")):
        raise validate.ValidationError("Must be a secret, not a public key.")


def _a_jwks_url(url: str) -> None:
    # Whoever can change the keys on their way can sign any token.
    if re.match(r"https://[^/]|http://(localhost|127\.0\.0\.1|\[::1\])[:/]", url) is None:
        raise validate.ValidationError("Must begin with https:// (or be on this very machine).")


def _algorithms(names: list[str]) -> None:
    if not names or not set(names) <= set(Settings().jwt_algorithms):
        raise validate.ValidationError("Must be some of EdDSA, ES256 and RS256.")


def _networks(proxies: list[str]) -> None:
    for proxy in proxies:
        try:
            _network(proxy)
        except ValueError as error:
            raise validate.ValidationError(
                "Must be addresses or networks (10.0.0.0/8), with commas between them."
            ) from error


def _network(proxy: str) -> Network:
    return ip_network(proxy.strip())
