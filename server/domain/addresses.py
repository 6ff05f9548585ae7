"""Whose address a request comes from, where proxies pass it on."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network

_PREFIX_OF_ONE_CUSTOMER = 64


def client_address(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """The address of the client, as far as somebody trusted vouches for it.

    Each proxy appends to ``X-Forwarded-For`` the address it was asked from. So the header is
    read from its end, for as long as the one who wrote the next entry is trusted; what a
    client wrote into it itself stands before that.

    Args:
        peer: the other end of the connection.
        forwarded_for: the header ``X-Forwarded-For``; empty where there is none.
        trusted: the proxies.
    """
    known = peer
    for entry in reversed(forwarded_for.split(",")):
        if not _is_trusted(known, trusted) or _parsed(entry.strip()) is None:
            break
        known = entry.strip()
    return known


def neighbourhood(address: str) -> str:
    """What counts as one guesser: an IPv4 address, or the /64 that an IPv6 customer has."""
    parsed = _parsed(address)
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((parsed, _PREFIX_OF_ONE_CUSTOMER), strict=False))
    return str(parsed or address)


def _is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in trusted)


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        # The zone of a link-local address says nothing to others.
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
