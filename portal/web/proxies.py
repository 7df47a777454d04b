"""Who calls, past the proxies whose word counts (PORTAL_TRUSTED_PROXIES)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from litestar.types import Scope


class Proxies:
    def __init__(self, words: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(word, strict=False) for word in words]

    def address_of(self, scope: Scope) -> str:
        """The peer, or the last address that our own proxies did not write; empty for a Unix socket."""
        address = _peer(scope)
        if not self._is_ours(address):
            return address
        for hop in reversed(_said(scope, b"x-forwarded-for").split(",")):
            try:
                address = str(ipaddress.ip_address(hop.strip()))
            except ValueError:
                break
            if not self._is_ours(address):
                break
        return address

    def bring(self, scope: Scope) -> bool:
        """Does this request come through one of ours?"""
        return self._is_ours(_peer(scope))

    def say_https(self, scope: Scope) -> bool:
        return self.bring(scope) and _said(scope, b"x-forwarded-proto").split(",")[-1].strip() == "https"

    def _is_ours(self, address: str) -> bool:
        if not self._networks:
            return False
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _said(scope: Scope, header: bytes) -> str:
    """Several lines of one name are one list."""
    return b",".join(value for name, value in scope["headers"] if name == header).decode("latin-1").lower()
