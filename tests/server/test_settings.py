"""What an operator may set, and what is said about what cannot be used."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.environment import SettingsError, read_settings
from server.settings import Secret, Settings

LONG_SECRET = "correct horse battery staple, twice over"


@pytest.fixture(autouse=True)
def _only_the_tests_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LATCHKEY_")]:
        monkeypatch.delenv(name)


def read_with(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(f"LATCHKEY_{name}", value)
    return read_settings()


def problems_with(monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, str]:
    with pytest.raises(SettingsError) as refused:
        read_with(monkeypatch, **variables)
    return refused.value.problems


def test_without_any_variable_the_defaults_are_those_that_are_published():
    read = read_settings()
    assert (read.address, read.port) == ("127.0.0.1", 8080)
    assert (read.heartbeat_s, read.offline_after_s, read.hello_within_s) == (20, 45, 10)
    assert read.command_life_s == 8
    assert (read.mongodb_uri, read.jwt_secret) == (None, None)
    assert read.data_dir == Path.home() / ".local" / "share" / "latchkey"


def test_every_setting_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch):
    read = read_with(
        monkeypatch,
        ADDRESS="::1",
        PORT="0",
        MONGODB_URI="mongodb://db/?replicaSet=rs0",
        MONGODB_DATABASE="locks",
        MONGODB_TIMEOUT_S="1.5",
        DATA="/srv/latchkey",
        HEARTBEAT_S="5",
        OFFLINE_AFTER_S="12.5",
        HELLO_WITHIN_S="3",
        COMMAND_LIFE_S="6",
        JWT_SECRET=LONG_SECRET,
        JWT_ISSUER="https://id.example",
        JWT_AUDIENCE="doors",
        LOG_FORMAT="json",
    )
    assert read.mongodb_uri is not None
    assert read.jwt_secret is not None
    assert read.mongodb_uri.reveal() == "mongodb://db/?replicaSet=rs0"
    assert read.jwt_secret.reveal() == LONG_SECRET
    assert (read.address, read.port, read.data_dir) == ("::1", 0, Path("/srv/latchkey"))
    assert (read.mongodb_database, read.mongodb_timeout_s) == ("locks", 1.5)
    assert (read.heartbeat_s, read.offline_after_s, read.hello_within_s) == (5, 12.5, 3)
    assert (read.command_life_s, read.log_format) == (6, "json")
    assert (read.jwt_issuer, read.jwt_audience) == ("https://id.example", "doors")


def test_the_liveness_policy_is_made_of_the_two_durations(monkeypatch: pytest.MonkeyPatch):
    liveness = read_with(monkeypatch, HEARTBEAT_S="5", OFFLINE_AFTER_S="12.5").liveness
    assert (liveness.heartbeat_s, liveness.offline_after_s) == (5, 12.5)


BAD = [
    ("PORT", "eighty"),
    ("PORT", "-1"),
    ("PORT", "65536"),
    ("PORT", "80.5"),
    ("PORT", ""),
    ("ADDRESS", ""),
    ("MONGODB_URI", ""),
    ("MONGODB_URI", "localhost:27017"),
    ("MONGODB_URI", "postgres://db"),
    ("MONGODB_DATABASE", ""),
    ("MONGODB_DATABASE", "two words"),
    ("MONGODB_DATABASE", "a/b"),
    ("MONGODB_DATABASE", "x" * 64),
    ("MONGODB_TIMEOUT_S", "0"),
    ("HEARTBEAT_S", "nan"),
    ("HEARTBEAT_S", "inf"),
    ("HEARTBEAT_S", "0.09"),
    ("OFFLINE_AFTER_S", "3601"),
    ("OFFLINE_AFTER_S", "soon"),
    ("HELLO_WITHIN_S", "-10"),
    ("REPORTS_KEPT_DAYS", "0"),
    ("COMMAND_LIFE_S", "2.9"),
    ("COMMAND_LIFE_S", "15.1"),
    ("JWT_SECRET", "x" * 31),
    ("JWT_SECRET", ""),
    ("JWT_SECRET", "x" * 31 + "\n"),
    ("PIN_SECRET", "x" * 31),
    ("PIN_SECRET", ""),
    ("WEBHOOK_SECRET", "x" * 31),
    ("WEBHOOK_RETRIES_S", "5,soon"),
    ("WEBHOOK_RETRIES_S", "5,0"),
    ("WEBHOOK_RETRIES_S", "nan"),
    ("WEBHOOK_RETRIES_S", "604801"),
    ("WEBHOOK_RETRIES_S", ",".join("1" * 21)),
    ("WEBHOOK_TIMEOUT_S", "31"),
    ("WEBHOOK_LOOPBACK", "perhaps"),
    ("TRUSTED_PROXIES", "proxy.example"),
    ("TRUSTED_PROXIES", "10.0.0.1,"),
    ("TRUSTED_PROXIES", "10.0.0.1/8"),
    ("JWT_ISSUER", ""),
    ("JWT_AUDIENCE", ""),
    ("LOG_FORMAT", "xml"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_variable_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
):
    problems = problems_with(monkeypatch, **{name: value})
    assert list(problems) == [f"LATCHKEY_{name}"]


GOOD = [
    ("PORT", "65535"),
    ("MONGODB_URI", "mongodb+srv://cluster.example"),
    ("MONGODB_DATABASE", "x" * 63),
    ("HEARTBEAT_S", "0.1"),
    ("OFFLINE_AFTER_S", "3600"),
    ("COMMAND_LIFE_S", "3"),
    ("COMMAND_LIFE_S", "15"),
    ("JWT_SECRET", "x" * 32),
    ("JWT_SECRET", "é" * 16),
    ("PIN_SECRET", "x" * 32),
    ("WEBHOOK_SECRET", "x" * 32),
    ("WEBHOOK_RETRIES_S", "0.5, 604800"),
    ("WEBHOOK_TIMEOUT_S", "30"),
    ("TRUSTED_PROXIES", "10.0.0.1, 192.168.0.0/16,fd00::/8"),
]


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_a_variable_at_its_limit_is_used(monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    assert isinstance(read_with(monkeypatch, **{name: value}), Settings)


def test_every_bad_variable_is_reported_at_once(monkeypatch: pytest.MonkeyPatch):
    problems = problems_with(
        monkeypatch,
        PORT="eighty",
        MONGODB_URI="db",
        HEARTBEAT_S="60",
        OFFLINE_AFTER_S="45",
        COMMAND_LIFE_S="60",
        JWT_SECRET="short",
        LOG_FORMAT="xml",
    )
    assert set(problems) == {
        "LATCHKEY_PORT",
        "LATCHKEY_MONGODB_URI",
        "LATCHKEY_OFFLINE_AFTER_S",
        "LATCHKEY_COMMAND_LIFE_S",
        "LATCHKEY_JWT_SECRET",
        "LATCHKEY_LOG_FORMAT",
    }


def test_the_message_has_a_line_for_each_variable(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(SettingsError) as refused:
        read_with(monkeypatch, PORT="eighty", LOG_FORMAT="xml")
    assert str(refused.value).splitlines() == [
        "LATCHKEY_LOG_FORMAT: Must be one of: pretty, json.",
        "LATCHKEY_PORT: Not a valid integer.",
    ]


@pytest.mark.parametrize("alone", ["TLS_CERTIFICATE", "TLS_KEY"])
def test_a_certificate_and_its_key_come_together(monkeypatch: pytest.MonkeyPatch, alone: str):
    assert list(problems_with(monkeypatch, **{alone: "/a.pem"})) == ["LATCHKEY_TLS_KEY"]


@pytest.mark.parametrize(("heartbeat_s", "offline_after_s"), [("20", "20"), ("45", "20")])
def test_a_lock_is_not_offline_before_it_was_asked(
    monkeypatch: pytest.MonkeyPatch, heartbeat_s: str, offline_after_s: str
):
    problems = problems_with(monkeypatch, HEARTBEAT_S=heartbeat_s, OFFLINE_AFTER_S=offline_after_s)
    assert problems == {"LATCHKEY_OFFLINE_AFTER_S": "Must be longer than LATCHKEY_HEARTBEAT_S."}


def test_a_secret_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    file = tmp_path / "secret"
    file.write_text(LONG_SECRET + "\n")
    read = read_with(monkeypatch, JWT_SECRET_FILE=str(file))
    assert read.jwt_secret is not None
    assert read.jwt_secret.reveal() == LONG_SECRET


def test_a_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    with pytest.raises(SettingsError, match="LATCHKEY_JWT_SECRET_FILE"):
        read_with(monkeypatch, JWT_SECRET_FILE=str(tmp_path / "nowhere"))


# Secrets


def test_a_secret_shows_itself_only_when_asked():
    secret = Secret(LONG_SECRET)
    assert secret.reveal() == LONG_SECRET
    assert LONG_SECRET not in f"{secret} {secret!r} {[secret]}"


def test_settings_do_not_show_their_secrets(monkeypatch: pytest.MonkeyPatch):
    read = read_with(monkeypatch, MONGODB_URI="mongodb://admin:hunter2@db", JWT_SECRET=LONG_SECRET)
    assert "hunter2" not in f"{read} {read!r}"
    assert LONG_SECRET not in f"{read} {read!r}"


def test_what_is_wrong_with_a_secret_does_not_show_it(monkeypatch: pytest.MonkeyPatch):
    problems = problems_with(monkeypatch, MONGODB_URI="admin:hunter2@db", JWT_SECRET="short-one")
    assert "hunter2" not in str(problems)
    assert "short-one" not in str(problems)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["PORT", "HEARTBEAT_S", "COMMAND_LIFE_S", "LOG_FORMAT", "MONGODB_URI"]),
    value=st.text(st.characters(codec="utf-8", exclude_characters="\x00")),
)
def test_whatever_a_variable_holds_it_is_used_or_named(name: str, value: str):
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv(f"LATCHKEY_{name}", value)
        problems: dict[str, str] = {}
        try:
            read_settings()
        except SettingsError as refused:
            problems = refused.problems
    assert set(problems) <= {f"LATCHKEY_{name}", "LATCHKEY_OFFLINE_AFTER_S"}
