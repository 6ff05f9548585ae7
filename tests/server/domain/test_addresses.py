"""Whose address counts, where proxies and clients say different things."""

from ipaddress import ip_network

import pytest

from server.domain.addresses import client_address, neighbourhood

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
CLIENT = "203.0.113.7"


@pytest.mark.parametrize("header", ["", CLIENT, "10.0.0.1", f"{CLIENT}, 10.0.0.1"])
def test_without_trusted_proxies_the_header_says_nothing(header: str):
    assert client_address("10.0.0.9", header, ()) == "10.0.0.9"


def test_a_stranger_may_not_say_who_it_is():
    assert client_address("198.51.100.1", CLIENT, PROXIES) == "198.51.100.1"


@pytest.mark.parametrize(
    "header",
    [
        CLIENT,
        f"{CLIENT}, 10.1.1.1",
        f"{CLIENT},10.1.1.1 , fd00::1",
        f"198.51.100.1, {CLIENT}",
        f"10.2.2.2, {CLIENT}, 10.1.1.1",
        f"what the client wrote, {CLIENT}",
    ],
)
def test_a_trusted_proxy_names_its_client_and_the_client_cannot_change_that(header: str):
    assert client_address("10.0.0.9", header, PROXIES) == CLIENT


@pytest.mark.parametrize("header", ["", "unknown", "10.0.0.300", f"{CLIENT}, "])
def test_what_is_no_address_leaves_the_proxy_itself(header: str):
    assert client_address("10.0.0.9", header, PROXIES) == "10.0.0.9"


def test_a_chain_of_proxies_alone_is_its_first():
    assert client_address("10.0.0.9", "10.0.0.1, 10.0.0.2", PROXIES) == "10.0.0.1"


def test_a_proxy_over_ipv6_may_be_written_as_ipv4():
    assert client_address("::ffff:10.0.0.9", CLIENT, PROXIES) == CLIENT


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_what_counts_as_one_guesser(address: str, counted_as: str):
    assert neighbourhood(address) == counted_as
