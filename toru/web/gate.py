"""The gate: what every request must satisfy before any handler is made.

Host names (DNS rebinding), origins (cross-site requests), paths (traversal tricks), and who the
client is behind a trusted proxy.

Runs on: the event loop; pure.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from urllib.parse import unquote_to_bytes, urlsplit

import msgspec

from toru.config import Config
from toru.errors import BadRequest, Forbidden, MisdirectedHost
from toru.memo import remembered

Header = Callable[[str], Sequence[str]]
"""All values of a header, by its name."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::([0-9]{1,5}))?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_DECODINGS = 3
_BAD_PATH = re.compile(rb"[\x00-\x1f\x7f\\]|//|(?:^|/)\.{1,2}(?:/|;|$)")
_RAW_PATH = re.compile(r"/[!-~]*")


class Arrival(msgspec.Struct, frozen=True):
    """The parts of a request that the gate looks at.

    Attributes:
        method: in capitals.
        path: as it came, without the query.
        version: ``HTTP/1.1`` or ``HTTP/1.0``.
    """

    method: str
    path: str
    version: str
    header: Header


class Gate:
    """Lets requests pass that this configuration serves."""

    def __init__(self, config: Config) -> None:
        self._names = {"localhost", *map(_plain_address, config.allowed_hosts)}
        self._any_address = False
        self._trusted = config.trust_proxy
        self._allowed_hosts = config.allowed_hosts
        address = _address(config.host)
        if address is None:
            self._names.add(config.host.lower())
        else:
            self._names.add(str(address))
            # Rebinding needs a name: an address in Host cannot have been rebound.
            self._any_address = address.is_unspecified

    def check(self, arrival: Arrival) -> None:
        """Let a request pass, or refuse it.

        Raises:
            BadRequest: its path or Host header is malformed.
            MisdirectedHost: it is for another host.
            Forbidden: another site's page has sent it.
        """
        check_path(arrival.path)
        host = self._check_host(arrival)
        upgrades = "websocket" in ",".join(arrival.header("Upgrade")).lower()
        if arrival.method not in SAFE_METHODS or upgrades:
            self._check_origin(arrival, host)

    def client_address(self, peer: str, header: Header) -> str:
        """Return the client's address: the peer's, or what trusted proxies say of it.

        ``X-Forwarded-For`` is read from the right, up to the first address that is no trusted
        proxy; ``CF-Connecting-IP`` counts only without it, because a proxy that adds the one may
        pass the other on from the client.
        """
        if not self._is_trusted(peer):
            return _plain_address(peer)
        hops = [hop.strip() for line in header("X-Forwarded-For") for hop in line.split(",")]
        client = peer
        for hop in reversed(hops or [*header("CF-Connecting-IP")][:1]):
            if _address(hop) is None:
                break
            client = hop
            if not self._is_trusted(hop):
                break
        return _plain_address(client)

    def _is_trusted(self, address: str) -> bool:
        parsed = _address(address)
        return parsed is not None and any(
            parsed in network for network in self._trusted if network.version == parsed.version
        )

    def _check_host(self, arrival: Arrival) -> str | None:
        values = arrival.header("Host")
        if not values and arrival.version == "HTTP/1.0":
            return None  # no browser; health checks of proxies do this
        found = _HOST.fullmatch(values[0].lower()) if len(values) == 1 else None
        if found is None:
            raise BadRequest("The Host header is missing or malformed.", code="bad_host")
        if not self._serves(found[1].strip("[]").removesuffix(".")):
            raise MisdirectedHost(
                "Toru does not serve this host name; TORU_ALLOWED_HOSTS names those it serves."
            )
        return values[0].lower()

    def _serves(self, name: str) -> bool:
        address = _address(name)
        if address is None:
            return name in self._names or name.endswith(".localhost")
        return address.is_loopback or self._any_address or str(address) in self._names

    def _check_origin(self, arrival: Arrival, host: str | None) -> None:
        """Refuse what a page of another origin sends; programs send neither header."""
        sites = arrival.header("Sec-Fetch-Site")
        if any(site not in {"same-origin", "none"} for site in sites):
            raise Forbidden("Requests from other sites are refused.", code="foreign_origin")
        for origin in arrival.header("Origin"):
            if not self._is_own_origin(origin.lower(), host):
                raise Forbidden("Requests from other sites are refused.", code="foreign_origin")

    def _is_own_origin(self, origin: str, host: str | None) -> bool:
        try:
            parts = urlsplit(origin)
            port = parts.port
        except ValueError:
            return False
        default = _DEFAULT_PORTS.get(parts.scheme)
        if default is None or not parts.netloc or "@" in parts.netloc:
            return False
        end = f":{default}"
        if host is not None and parts.netloc.removesuffix(end) == host.removesuffix(end):
            return True
        # A proxy may have put its own name for Toru in Host; the page is still at this name.
        return parts.hostname in self._allowed_hosts and port in {None, int(default)}


def check_path(path: str) -> None:
    """Refuse paths that could mean another place than they say, however often they are decoded.

    Raises:
        BadRequest: the path has dot segments, empty segments, backslashes or control characters.
    """
    if not _is_plain(path):
        raise BadRequest("The path is malformed.", code="bad_path")


@remembered(1024)
def _is_plain(path: str) -> bool:
    if not _RAW_PATH.fullmatch(path):
        return False
    decoded = path.encode("ascii")
    for _ in range(_DECODINGS):
        if _BAD_PATH.search(decoded):
            return False
        once_more = unquote_to_bytes(decoded)
        if once_more == decoded:
            return True
        decoded = once_more
    return not _BAD_PATH.search(decoded)


@remembered(4096)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed


@remembered(4096)
def _plain_address(text: str) -> str:
    return str(_address(text) or text)
