"""Nobody outside can send this server to where only insiders may go."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.public_addresses import is_loopback, is_public

INNER_V4 = ["10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - to be refused
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.19.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "localhost",
        "2130706433",
        "",
    ],
)
def test_an_inner_address_is_not_public(address: str):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "100.63.255.255", "172.32.0.1", "192.0.1.1", "2606:4700::1", "2a00::1"]
)
def test_an_address_of_the_internet_is_public(address: str):
    assert is_public(address)


@given(st.ip_addresses())
def test_no_address_is_public_that_python_knows_not_to_be(address: IPv4Address | IPv6Address):
    if is_public(str(address)):
        assert address.is_global
        assert not address.is_multicast


@given(st.sampled_from(INNER_V4).flatmap(lambda net: st.ip_addresses(network=IPv4Network(net))))
def test_an_inner_address_is_not_public_in_any_disguise(inner: IPv4Address):
    number = int(inner)
    disguises = [
        number,
        0xFFFF << 32 | number,
        0x64FF9B << 96 | number,
        0x2002 << 112 | number << 80,
        0x2001 << 112 | number ^ 0xFFFFFFFF,
    ]
    for disguise in disguises:
        assert not is_public(str(IPv6Address(disguise)))
    assert not is_public(str(inner))


@given(st.ip_addresses())
def test_what_is_loopback_is_not_public(address: IPv4Address | IPv6Address):
    assert not (is_loopback(str(address)) and is_public(str(address)))


def test_loopback_is_loopback_only_where_it_says_so_plainly():
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    for address in ("::ffff:127.0.0.1", "10.0.0.1", "localhost", str(ip_address(0))):
        assert not is_loopback(address)
