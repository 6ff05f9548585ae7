"""The rules of webhooks: what may be subscribed to, where it may go, and when it is tried again."""

from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain import events
from server.domain.errors import InvalidInput
from server.domain.events import EVENT_TYPES
from server.domain.webhooks import (
    NEVER_DELIVERED,
    check_events,
    check_url,
    delay_before_next,
    delivery_id,
    new_signing_secret,
)
from server.settings import Settings

PUBLISHED = Settings().webhook_retries_s
HOUR = 3600.0

delays = st.lists(st.floats(0.001, 1e6), max_size=20)
fractions = st.floats(0, 1)


def test_an_event_is_tried_eight_times_over_more_than_a_day():
    waits = [delay_before_next(tries, PUBLISHED, 0) for tries in range(1, 9)]
    assert waits[-1] is None
    seconds = [wait.total_seconds() for wait in waits if wait is not None]
    assert (len(seconds), seconds[0], seconds[-1]) == (7, 5, 10 * HOUR)
    assert sum(seconds) > 24 * HOUR
    assert seconds == sorted(seconds)


@given(delays, fractions, st.integers(1, 25))
def test_a_wait_is_never_longer_than_published_nor_shorter_by_more_than_a_fifth(
    delays_s: list[float], fraction: float, tries: int
):
    wait = delay_before_next(tries, delays_s, fraction)
    if tries > len(delays_s):
        assert wait is None
    else:
        assert wait is not None
        longest = delays_s[tries - 1]
        assert longest * 0.8 - 1e-5 <= wait.total_seconds() <= longest + 1e-5


@given(st.integers(1, 7), fractions, fractions)
def test_what_failed_together_is_spread_out(tries: int, one: float, other: float):
    first, second = (delay_before_next(tries, PUBLISHED, fraction) for fraction in (one, other))
    if abs(one - other) > 0.001:
        assert first != second


def test_every_event_may_be_asked_for_by_its_name():
    check_events(sorted(EVENT_TYPES))
    check_events(["*"])
    assert {"TempKeyUsed", "LockOpened", "WebhookDisabled"} <= EVENT_TYPES
    assert all(hasattr(events, name) for name in EVENT_TYPES)


def test_names_that_the_api_takes_and_never_delivers_are_taken():
    check_events(sorted(NEVER_DELIVERED))


@pytest.mark.parametrize("name", ["tempKeyUsed", "TEMP_KEY_USED", "**", "", "Shadow Update"])
def test_an_unknown_event_is_refused_with_its_place(name: str):
    with pytest.raises(InvalidInput) as refused:
        check_events(["LockOpened", name])
    assert refused.value.field == "events[1]"


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com:8443/hooks?token=a%20b",
        "https://xn--bcher-kva.example/",
        "https://[2606:4700::1]/hook",
        "https://8.8.8.8/",
    ],
)
def test_a_url_of_https_is_taken(url: str):
    assert check_url(url, loopback_allowed=False).scheme == "https"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "//example.com/",
        "example.com",
        "https://",
        "https:///path",
        "https://user:secret@example.com/",
        "https://user@example.com/",
        "https://example.com/#part",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://exa mple.com/",
        "https://bücher.example/",
        "https://example.com\\@evil.example/",
        "https://exam_ple%00.com/",
        "https://example.com/\r\nX-Injected: 1",
        "https://[::1",
        "file:///etc/passwd",
    ],
)
def test_what_is_no_url_to_send_to_is_refused(url: str):
    with pytest.raises(InvalidInput) as refused:
        check_url(url, loopback_allowed=False)
    assert refused.value.field == "url"


def test_plain_http_is_taken_where_the_setting_says_so():
    assert check_url("http://localhost:9/", loopback_allowed=True).port == 9


@given(st.text())
def test_whatever_is_sent_as_a_url_is_taken_or_refused(url: str):
    try:
        parts = check_url(url, loopback_allowed=False)
    except InvalidInput:
        return
    assert parts.scheme == "https"
    assert parts.hostname


def test_a_secret_has_256_random_bits():
    one, other = new_signing_secret(), new_signing_secret()
    assert one != other
    assert one.startswith("whsec_")
    assert len(b64decode(one.removeprefix("whsec_"))) == 32


def test_a_delivery_has_the_same_id_whoever_makes_it():
    assert delivery_id("hook", "event") == delivery_id("hook", "event")
    assert delivery_id("hook", "event") != delivery_id("hook", "other")
    assert "/" not in delivery_id("hook", "report/1/x/2")
