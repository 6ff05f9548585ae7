"""What an operator may set, read once from the environment (``LATCHKEY_…``)."""

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, cast

from environs import EnvValidationError, FileAwareEnv, validate
from msgspec import Meta, Struct

from server.domain.addresses import Network
from server.domain.errors import LatchkeyError
from server.domain.locks import LivenessPolicy
from server.domain.protocol import MAX_BATCH_REPORTS
from server.domain.rates import Rate

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

    Each says in its ``Meta`` what an operator has to know: ``docs/reference.md`` is made of
    these. Its variable is its name in capitals behind ``LATCHKEY_``, but for ``data_dir``.
    """

    address: Annotated[str, Meta(description="Where to listen.")] = "127.0.0.1"
    port: Annotated[int, Meta(description="0: any free port, named in the log.")] = 8080
    tls_certificate: Annotated[
        Path | None,
        Meta(
            description="A certificate (PEM) with its chain, to speak TLS without a proxy. "
            "SIGHUP reads it and its key again."
        ),
    ] = None
    tls_key: Annotated[Path | None, Meta(description="The certificate's key (PEM).")] = None
    mongodb_uri: Annotated[
        Secret | None,
        Meta(description="The MongoDB, a replica set. Without it the server runs its own."),
    ] = None
    mongodb_database: Annotated[str, Meta(description="The database in it.")] = "latchkey"
    mongodb_timeout_s: Annotated[float, Meta(description="The longest wait for one call.")] = 3.0
    data_dir: Annotated[
        Path,
        Meta(
            description="The folder of the server's own MongoDB.",
            extra={"variable": "LATCHKEY_DATA"},
        ),
    ] = Path.home() / ".local" / "share" / "latchkey"
    nats_url: Annotated[
        Secret | None,
        Meta(
            description="Where several servers on one MongoDB meet: `nats://`, or `tls://` for an "
            "encrypted connection, with user and password or a token in it if needed; several "
            "with commas. Without it this server must be the only one."
        ),
    ] = None
    nats_prefix: Annotated[
        str,
        Meta(description="What subjects on NATS begin with: one for each installation."),
    ] = "latchkey"
    node_name: Annotated[
        str | None,
        Meta(
            description="What this server and its successors are called, and no other. Without it "
            "the host's name and the port."
        ),
    ] = None
    heartbeat_s: Annotated[float, Meta(description="How often a lock is pinged.")] = 20.0
    offline_after_s: Annotated[
        float,
        Meta(description="How long a silent lock may count as online; longer than the heartbeat."),
    ] = 45.0
    hello_within_s: Annotated[
        float, Meta(description="How long a new connection may take to say `hello`.")
    ] = 10.0
    command_life_s: Annotated[
        float, Meta(description="How long an open command may be carried out, 3 to 15.")
    ] = 8.0
    most_locks: Annotated[
        int,
        Meta(
            description="How many locks may be connected to one server process; needs as many file "
            "descriptors, and some hundreds more."
        ),
    ] = 10_000
    connects_a_second: Annotated[
        int,
        Meta(
            description="How many locks may connect in a second; the others are told when to come "
            "back, so that guests are served meanwhile."
        ),
    ] = 100
    drain_window_s: Annotated[
        float,
        Meta(
            description="Over how long locks are sent away at most when the server stops; as many "
            "a second as may connect, so a few are gone at once."
        ),
    ] = 10.0
    frames_a_second: Annotated[
        int, Meta(description="How many frames a lock may send in the long run.")
    ] = 20
    frame_burst: Annotated[
        int, Meta(description="How many it may send at once, after an outage for example.")
    ] = 500
    most_waiting_reports: Annotated[
        int,
        Meta(
            description="How many reports of locks wait in memory, about 1 KiB each, while MongoDB "
            "is slow or away; the locks keep what comes after those."
        ),
    ] = 20_000
    reports_kept_days: Annotated[
        int,
        Meta(description="How long what locks report is kept, in days from when it came in."),
    ] = 90
    jwt_secret: Annotated[
        Secret | None,
        Meta(description="At least 32 bytes, for tokens that are signed with HS256."),
    ] = None
    jwt_issuer: Annotated[str, Meta(description="What `iss` of a token must be.")] = "latchkey"
    jwt_audience: Annotated[str, Meta(description="What `aud` of a token must be.")] = "latchkey"
    jwt_jwks_url: Annotated[
        str | None,
        Meta(
            description="Where an identity provider publishes its keys (https); this or the "
            "secret. Without either only API keys are accepted."
        ),
    ] = None
    jwt_algorithms: Annotated[
        tuple[str, ...], Meta(description="Which of these its tokens may be signed with.")
    ] = ("EdDSA", "ES256", "RS256")
    session_secret: Annotated[
        Secret | None,
        Meta(
            description="At least 32 bytes, for the cookies of guests. Without it the first "
            "server makes one and leaves it in MongoDB."
        ),
    ] = None
    pin_secret: Annotated[
        Secret | None,
        Meta(
            description="At least 32 bytes. Without it there are no PINs; with another one "
            "those that were issued are lost."
        ),
    ] = None
    webhook_secret: Annotated[
        Secret | None,
        Meta(
            description="At least 32 bytes, which seal the secrets that webhooks are signed with. "
            "Without it there are no webhooks; with another one those that exist need "
            "`rotate-secret`."
        ),
    ] = None
    webhook_retries_s: Annotated[
        tuple[float, ...],
        Meta(
            description="How long an event that a webhook's receiver did not take waits for each "
            "further try, with commas."
        ),
    ] = (5, 300, 1800, 7200, 18000, 36000, 36000)
    webhook_timeout_s: Annotated[
        float, Meta(description="How long a receiver may take to answer, 0.5 to 30.")
    ] = 10.0
    webhook_loopback: Annotated[
        bool,
        Meta(
            description="`true`: receivers may be on this very machine, by plain http too. For "
            "development."
        ),
    ] = False
    metrics_token: Annotated[
        Secret | None,
        Meta(
            description="At least 32 bytes, which Prometheus sends to read `/metrics` "
            "(`Authorization: Bearer`). Without it nobody can."
        ),
    ] = None
    trusted_proxies: Annotated[
        tuple[Network, ...],
        Meta(
            description="Whose `X-Forwarded-For` is believed: addresses and networks, with "
            "commas. Set it behind a proxy, or all guests count as one guesser."
        ),
    ] = ()
    log_format: Annotated[str, Meta(description="`pretty` for people, `json` for programs.")] = (
        "pretty"
    )

    @property
    def liveness(self) -> LivenessPolicy:
        """How dead connections are found out."""
        return LivenessPolicy(heartbeat_s=self.heartbeat_s, offline_after_s=self.offline_after_s)

    @property
    def frames(self) -> Rate:
        """How many frames a lock may send."""
        return Rate(a_second=self.frames_a_second, burst=self.frame_burst)


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
