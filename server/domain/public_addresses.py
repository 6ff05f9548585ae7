"""Which addresses a server may be sent to by strangers: public ones, and no others.

Whoever registers a webhook chooses where this server connects to. It stands inside a
network in which much is believed to be out of strangers' reach.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_NOT_PUBLIC_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # behind a provider's NAT; a cloud's metadata is here too
        "127.0.0.0/8",  # this machine
        "168.63.129.16/32",  # a cloud's inner services, at an address that looks public
        "169.254.0.0/16",  # this link, with the metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments, and a cloud's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_PUBLIC_V6 = IPv6Network("2000::/3")
"""Global unicast. IPv4 in disguise (::ffff:0:0/96, 64:ff9b::/96) is not part of it."""
_NOT_PUBLIC_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, with Teredo, which carries IPv4
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which carries IPv4
        "3fff::/20",  # documentation
    )
)
_LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


def is_public(address: str) -> bool:
    """Whether an address belongs to the public internet; what is no address does not."""
    parsed = _parsed(address)
    if isinstance(parsed, IPv4Address):
        return not any(parsed in network for network in _NOT_PUBLIC_V4)
    if isinstance(parsed, IPv6Address):
        return parsed in _PUBLIC_V6 and not any(parsed in network for network in _NOT_PUBLIC_V6)
    return False


def is_loopback(address: str) -> bool:
    """Whether an address is this very machine, said plainly."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in _LOOPBACK)


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(address)
    except ValueError:
        return None
