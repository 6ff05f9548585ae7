"""What an operator may set, in the environment, as ``LATCHKEY_…``."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from server.domain.addresses import Network
from server.domain.locks import LivenessPolicy
from server.domain.rates import Rate


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
