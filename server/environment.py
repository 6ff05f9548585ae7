"""Reads the settings from the environment; names every variable that cannot be used, at once."""

import re
from ipaddress import ip_network
from typing import Any, cast

from environs import EnvValidationError, FileAwareEnv, validate

from server.domain.addresses import Network
from server.domain.errors import LatchkeyError
from server.domain.protocol import MAX_BATCH_REPORTS
from server.settings import Secret, Settings

_LONGEST_S = 3600
_LONGEST_WAIT_S = 7 * 24 * 3600
_MOST_WAITS = 20
_NUMBERS = {
    "most_locks": (1, 1_000_000),
    "connects_a_second": (1, 10_000),
    "frames_a_second": (1, 10_000),
    "frame_burst": (10, 1_000_000),
    "most_waiting_reports": (MAX_BATCH_REPORTS, 10_000_000),
    "reports_kept_days": (1, 7300),
}
"""Settings that are whole numbers, each with its least and its greatest value."""


class SettingsError(LatchkeyError):
    """Variables that cannot be used: every one of them, each with what is wrong."""

    reason = "bad_settings"

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("\n".join(f"{name}: {said}" for name, said in sorted(problems.items())))
        self.problems = problems


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
    if (read["tls_certificate"] is None) != (read["tls_key"] is None):
        problems["LATCHKEY_TLS_KEY"] = "Goes with LATCHKEY_TLS_CERTIFICATE, and that with this."
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
    nats_url = env.str("NATS_URL", None, validate=_nats_urls)
    jwt_secret = env.str("JWT_SECRET", None, validate=[_long_enough, _not_a_public_key])
    session_secret = env.str("SESSION_SECRET", None, validate=_long_enough)
    pin_secret = env.str("PIN_SECRET", None, validate=_long_enough)
    webhook_secret = env.str("WEBHOOK_SECRET", None, validate=_long_enough)
    webhook_retries_s = env.list("WEBHOOK_RETRIES_S", [], validate=_waits)
    metrics_token = env.str("METRICS_TOKEN", None, validate=_long_enough)
    trusted_proxies = env.list("TRUSTED_PROXIES", [], validate=_networks)
    numbers = {
        name: env.int(name.upper(), getattr(default, name), validate=validate.Range(*bounds))
        for name, bounds in _NUMBERS.items()
    }
    return {
        **numbers,
        "address": env.str("ADDRESS", default.address, validate=a_word),
        "port": env.int("PORT", default.port, validate=validate.Range(0, 65535)),
        "tls_certificate": env.path("TLS_CERTIFICATE", None),
        "tls_key": env.path("TLS_KEY", None),
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
        "nats_url": _secret(nats_url),
        "nats_prefix": env.str(
            "NATS_PREFIX",
            default.nats_prefix,
            validate=validate.Regexp(
                r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63}){0,7}\Z",
                error="Must be letters, digits, _ and -, in parts with dots between them.",
            ),
        ),
        "node_name": env.str("NODE_NAME", None, validate=a_word),
        "data_dir": env.path("DATA", default.data_dir),
        "heartbeat_s": env.float("HEARTBEAT_S", default.heartbeat_s, validate=a_time),
        "offline_after_s": env.float("OFFLINE_AFTER_S", default.offline_after_s, validate=a_time),
        "hello_within_s": env.float("HELLO_WITHIN_S", default.hello_within_s, validate=a_time),
        "drain_window_s": env.float("DRAIN_WINDOW_S", default.drain_window_s, validate=a_time),
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
        "webhook_secret": _secret(webhook_secret),
        "webhook_retries_s": tuple(map(float, webhook_retries_s or default.webhook_retries_s)),
        "webhook_timeout_s": env.float(
            "WEBHOOK_TIMEOUT_S", default.webhook_timeout_s, validate=validate.Range(0.5, 30)
        ),
        "webhook_loopback": env.bool("WEBHOOK_LOOPBACK", default.webhook_loopback),
        "metrics_token": _secret(metrics_token),
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


def _nats_urls(urls: str) -> None:
    if not all(url.strip().startswith(("nats://", "tls://")) for url in urls.split(",")):
        raise validate.ValidationError("Must begin with nats:// or tls://, each of several.")


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


def _waits(texts: list[str]) -> None:
    try:
        good = all(0 < float(text) <= _LONGEST_WAIT_S for text in texts)
    except ValueError:
        good = False
    if not good or len(texts) > _MOST_WAITS:
        raise validate.ValidationError("Must be at most 20 waits of up to a week, with commas.")


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
