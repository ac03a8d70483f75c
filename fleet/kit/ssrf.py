"""Refuse addresses that a URL taken from data must never reach (SSRF)."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

#: All that is routed of IPv6 so far, and the way of networks without IPv4 to it (RFC 6052), cloud metadata included.
_UNICAST = ipaddress.IPv6Network("2000::/3")
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")


class UnsafeAddress(Exception):
    """The host names, or resolves to, an address outside the public internet."""


def is_public(address: str) -> bool:
    """True for a globally routable unicast address; IPv4 inside IPv6 is judged as IPv4."""
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        return ip in _UNICAST and ip.is_global
    return ip.is_global and not ip.is_multicast


async def resolve_public(host: str, port: int) -> str:
    """One public address of `host`, to connect to as it is (so that DNS cannot change its mind in between).

    Every address of the name must be public: one private among them is reason enough to refuse.
    Raises UnsafeAddress, or OSError when the name does not resolve.
    """
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(info[4][0]) for info in infos]
    for address in addresses:
        if not is_public(address):
            raise UnsafeAddress(f"{host} is at {address}, which is not a public address")
    if not addresses:
        raise OSError(f"{host} has no address")
    return addresses[0]
