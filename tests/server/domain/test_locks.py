"""A lock's own arithmetic: acknowledged reports, batteries, and how long silence may last."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.locks import AckedReports, LatestReading, LivenessPolicy, Lock

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)

durations = st.floats(0.1, 3600, allow_nan=False)


def lock_with(acked: AckedReports | None) -> Lock:
    return Lock(id=17, uuid="u", org_id="org", name="Door", created_at=NOW, acked=acked)


def reading_with(battery: float | None) -> LatestReading:
    return LatestReading(seq=1, epoch="e", at=NOW, received_at=NOW, battery=battery)


def test_a_new_lock_has_nothing_acknowledged():
    assert lock_with(None).acked_seq("e") == 0


def test_the_acknowledged_reports_of_the_present_epoch_count():
    assert lock_with(AckedReports(epoch="e", seq=41)).acked_seq("e") == 41


def test_the_acknowledged_reports_of_another_epoch_do_not():
    assert lock_with(AckedReports(epoch="e", seq=41)).acked_seq("after a reset") == 0


def test_a_new_lock_is_offline():
    assert lock_with(None).connection.online is False


@pytest.mark.parametrize(("battery", "low"), [(0, True), (20, True), (20.1, False), (100, False)])
def test_a_battery_is_low_at_twenty_percent(battery: float, low: bool):
    assert reading_with(battery).battery_is_low is low


def test_a_battery_that_was_never_reported_is_not_low():
    assert reading_with(None).battery_is_low is False


def test_with_the_published_settings_a_silent_lock_is_cut_half_a_second_early():
    policy = LivenessPolicy(heartbeat_s=20, offline_after_s=45)
    assert policy.silence_allowed_s == 44.5


@given(heartbeat_s=durations, offline_after_s=durations)
def test_a_silent_lock_is_always_cut_before_the_published_bound(
    heartbeat_s: float, offline_after_s: float
):
    policy = LivenessPolicy(heartbeat_s=heartbeat_s, offline_after_s=offline_after_s)
    assert 0 < policy.silence_allowed_s < offline_after_s
    assert offline_after_s - policy.silence_allowed_s <= 0.5 + 1e-9


@given(heartbeat_s=durations, now=st.floats(0, 1e8))
def test_a_ping_is_never_late_and_hardly_early(heartbeat_s: float, now: float):
    policy = LivenessPolicy(heartbeat_s=heartbeat_s, offline_after_s=2 * heartbeat_s)
    waits_s = policy.ping_at(now) - now
    assert heartbeat_s * 78 / 80 < waits_s <= heartbeat_s + 1e-6


def test_locks_are_pinged_in_rounds():
    policy = LivenessPolicy(heartbeat_s=20, offline_after_s=45)
    assert {policy.ping_at(100 + step / 1000) for step in range(1000)} == {
        120,
        120.25,
        120.5,
        120.75,
    }
