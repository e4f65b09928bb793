"""The gate: hosts, origins, paths and the client's address.

Runs on: the test's thread; the second half against a real hub, over raw sockets.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.hub import ADMIN_PASSWORD, HubProcess
from tests.support.raw_http import exchange, request
from tests.support.websocket import Refused, WebSocket
from toru.config import load_config
from toru.errors import BadRequest, Forbidden, MisdirectedHost
from toru.web.app import collect_routes
from toru.web.gate import Arrival, Gate, check_path
from toru.web.headers import ALWAYS

OWN = "127.0.0.1:3000"


def gate(folder: Path, **environ: str) -> Gate:
    base = {"ADMIN_PASSWORD": "Admin-pass-1", "TORU_DATA_DIR": str(folder / "data")}
    return Gate(load_config({**base, "TORU_LOG_DIR": str(folder / "logs"), **environ}))


def arrival(
    method: str = "GET", path: str = "/", version: str = "HTTP/1.1", **headers: str
) -> Arrival:
    named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    named.setdefault("host", OWN)
    return Arrival(
        method, path, version, lambda name: [named[name.lower()]] if named.get(name.lower()) else []
    )


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:3000", "localhost.", "127.0.0.1", "127.0.0.53:80", "[::1]:3000",
     "toru.example.org", "Toru.Example.Org:8443", "app.localhost"],
)  # fmt: skip
def test_its_own_names_are_served(tmp_path: Path, host: str) -> None:
    gate(tmp_path, TORU_ALLOWED_HOSTS="toru.example.org").check(arrival(host=host))


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "toru.example.org.evil.example", "192.0.2.1",
     "[2001:db8::1]", "127.0.0.1.evil.example", "0x7f.1", "notlocalhost"],
)  # fmt: skip
def test_other_names_are_not(tmp_path: Path, host: str) -> None:
    with pytest.raises(MisdirectedHost):
        gate(tmp_path, TORU_ALLOWED_HOSTS="toru.example.org").check(arrival(host=host))


@pytest.mark.parametrize(
    "host", ["a b", "localhost:port", "user@localhost", "[::1", "localhost:3000:1", "a/b", "ä"]
)
def test_a_malformed_host_is_a_bad_request(tmp_path: Path, host: str) -> None:
    with pytest.raises(BadRequest):
        gate(tmp_path).check(arrival(host=host))


def test_a_request_without_a_host_is_only_taken_from_old_programs(tmp_path: Path) -> None:
    gate(tmp_path).check(arrival(version="HTTP/1.0", host=""))
    with pytest.raises(BadRequest):
        gate(tmp_path).check(arrival(host=""))


def test_on_all_interfaces_an_address_is_a_name_of_its_own_but_a_name_is_not(
    tmp_path: Path,
) -> None:
    everywhere = gate(tmp_path, STEERING_HOST="0.0.0.0")
    everywhere.check(arrival(host="192.0.2.1:3000"))
    with pytest.raises(MisdirectedHost):
        everywhere.check(arrival(host="rebound.example"))


def test_the_bind_address_is_served(tmp_path: Path) -> None:
    gate(tmp_path, STEERING_HOST="192.0.2.7").check(arrival(host="192.0.2.7:3000"))
    gate(tmp_path, TORU_ALLOWED_HOSTS="2001:DB8::0:1").check(arrival(host="[2001:db8::1]:3000"))
    gate(tmp_path, STEERING_HOST="Box.Local").check(arrival(host="box.local:3000"))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "BREW"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8080"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://127.0.0.1:3000@evil.example"},
        {"Origin": "http://127.0.0.1:3000.evil.example"},
        {"Origin": "file://"},
        {"Origin": "chrome-extension://127.0.0.1:3000"},
        {"Origin": "http://[::1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Origin": f"http://{OWN}"},
        {"Sec_Fetch_Site": "same-origin", "Origin": "https://evil.example"},
    ],
)
def test_what_another_site_sends_is_refused(
    tmp_path: Path, method: str, headers: dict[str, str]
) -> None:
    with pytest.raises(Forbidden):
        gate(tmp_path).check(arrival(method, **headers))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": f"http://{OWN}"},
        {"Origin": f"https://{OWN}"},
        {"Sec_Fetch_Site": "same-origin", "Origin": f"http://{OWN}"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": "https://toru.example.org"},
        {"Origin": "https://toru.example.org", "host": "toru.example.org:443"},
    ],
)
def test_what_its_own_page_or_a_program_sends_is_taken(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    gate(tmp_path, TORU_ALLOWED_HOSTS="toru.example.org").check(arrival("POST", **headers))


def test_another_port_of_an_allowed_host_is_another_origin(tmp_path: Path) -> None:
    with pytest.raises(Forbidden):
        gate(tmp_path, TORU_ALLOWED_HOSTS="toru.example.org").check(
            arrival("POST", Origin="https://toru.example.org:8443")
        )


def test_reading_is_open_to_links_but_a_websocket_is_not(tmp_path: Path) -> None:
    gate(tmp_path).check(arrival("GET", Origin="https://evil.example", Sec_Fetch_Site="cross-site"))
    with pytest.raises(Forbidden):
        gate(tmp_path).check(arrival("GET", Origin="https://evil.example", Upgrade="WebSocket"))


TRICKS = [
    "/../etc/passwd", "/..", "/.", "/a/./b", "/a/../b", "/%2e%2e/etc/passwd", "/%2E%2e", "/.%2e/x",
    "/%252e%252e/x", "/%25252e%25252e/x", "/a%2f..%2fb", "/..%2f", "/..%252f", "/a\\b", "/a%5cb",
    "/%255c..%255c", "/a%00b", "/%2500", "//etc/passwd", "/a//b", "/%2f%2fa", "/a%0ab", "/a%0d%0ab",
    "/a%1b", "/..;/x", "/%7f",
]  # fmt: skip


@pytest.mark.parametrize("path", TRICKS)
def test_a_path_with_a_trick_in_it_is_refused(path: str) -> None:
    with pytest.raises(BadRequest):
        check_path(path)


@pytest.mark.parametrize(
    "path",
    ["/", "/app.js", "/history/x", "/api/settings/a.b", "/a%20b", "/%C3%BC", "/...",
     "/.well-known", "/a..b", "/~x", "/100%25", "/a%2fb"],
)  # fmt: skip
def test_an_ordinary_path_is_not(path: str) -> None:
    check_path(path)


@given(st.text(st.sampled_from("/.%25eE2fF5cC0aA\\x;"), max_size=12))
def test_no_decoding_of_a_path_that_passes_leaves_its_folder(tail: str) -> None:
    path = f"/{tail}"
    try:
        check_path(path)
    except BadRequest:
        return
    for _ in range(4):
        assert ".." not in path.replace("\\", "/").split("/")
        assert "\0" not in path
        path = unquote(path)


@pytest.mark.parametrize(
    ("peer", "headers", "client"),
    [
        ("203.0.113.9", {"X_Forwarded_For": "192.0.2.1"}, "203.0.113.9"),
        ("203.0.113.9", {"CF_Connecting_IP": "192.0.2.1"}, "203.0.113.9"),
        ("10.0.0.1", {}, "10.0.0.1"),
        ("10.0.0.1", {"X_Forwarded_For": "192.0.2.1"}, "192.0.2.1"),
        ("10.0.0.1", {"X_Forwarded_For": "6.6.6.6, 192.0.2.1"}, "192.0.2.1"),
        ("10.0.0.1", {"X_Forwarded_For": "6.6.6.6, 192.0.2.1, 10.0.0.2"}, "192.0.2.1"),
        ("10.0.0.1", {"X_Forwarded_For": "10.0.0.3, 10.0.0.2"}, "10.0.0.3"),
        ("10.0.0.1", {"X_Forwarded_For": "192.0.2.1, garbage"}, "10.0.0.1"),
        ("10.0.0.1", {"X_Forwarded_For": "garbage, 10.0.0.2"}, "10.0.0.2"),
        ("10.0.0.1", {"CF_Connecting_IP": "192.0.2.1"}, "192.0.2.1"),
        ("10.0.0.1", {"CF_Connecting_IP": "6.6.6.6", "X_Forwarded_For": "192.0.2.1"}, "192.0.2.1"),
        ("::ffff:10.0.0.1", {"X_Forwarded_For": "::ffff:192.0.2.1"}, "192.0.2.1"),
        ("10.0.0.1", {"X_Forwarded_For": "2001:DB8::1"}, "2001:db8::1"),
    ],
)
def test_only_a_trusted_proxy_is_believed_and_only_about_its_own_neighbour(
    tmp_path: Path, peer: str, headers: dict[str, str], client: str
) -> None:
    guarded = gate(tmp_path, TRUST_PROXY="10.0.0.0/8")
    assert guarded.client_address(peer, arrival(**headers).header) == client
    assert ipaddress.ip_address(client)


# Against a real hub


def test_no_path_trick_reaches_a_file_or_a_fault(hub: HubProcess) -> None:
    prefixes = {"/", "/vendor/", "/lib/"} | {
        route.path.split("{")[0] for route in collect_routes() if "{" in route.path
    }
    for prefix in sorted(prefixes):
        for trick in TRICKS:
            answer = exchange(hub.port, request("GET", prefix + trick[1:], f"Cookie: {hub.cookie}"))
            assert answer.status in (400, 404), (prefix, trick, answer)
            assert answer.json["error"].endswith(".")
            assert b"root:" not in answer.body


@pytest.mark.parametrize(
    "target",
    [b"/a\0b", b"/a\x1bb", b"/\xff\xfe", b"a", b"*", b"http://localhost/api/health", b"/a b",
     b"/%ff", b"/%zz", b"/%", b"/" + b"a" * 60_000],
)  # fmt: skip
def test_a_strange_target_is_no_fault(hub: HubProcess, target: bytes) -> None:
    head = b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = exchange(hub.port, head)
    assert answer.status in (200, 400, 404), answer
    assert "content-security-policy" in answer.headers


@pytest.mark.parametrize("host", ["evil.example", "rebound.example:3000", "192.0.2.1"])
@pytest.mark.parametrize("path", ["/", "/app.js", "/api/health", "/api/auth/me", "/api/ws"])
def test_a_foreign_host_gets_nothing(hub: HubProcess, host: str, path: str) -> None:
    answer = exchange(hub.port, request("GET", path, f"Cookie: {hub.cookie}", host=host))
    assert answer.status == 421
    assert answer.json["code"] == "misdirected_host"


@pytest.mark.parametrize("headers", [b"", b"Host: localhost\r\nHost: evil.example\r\n"])
def test_no_host_and_two_hosts_are_bad_requests(hub: HubProcess, headers: bytes) -> None:
    answer = exchange(hub.port, b"GET /api/health HTTP/1.1\r\n" + headers + b"\r\n")
    assert answer.status == 400


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1"])
def test_a_foreign_origin_changes_nothing_on_any_route(hub: HubProcess, origin: str) -> None:
    for route in collect_routes():
        path = route.path.replace("{", "").replace(":int}", "").replace("}", "")
        for method in sorted(set(route.handler.roles) - {"GET"}):
            answer = hub.http(method, path, {}, headers={"Origin": origin})
            assert answer.status == 403, (method, path, answer)
            assert answer.json["code"] == "foreign_origin"
    assert hub.get("/api/auth/me")["authenticated"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "evil.example"}, 400),
    ],
)
def test_a_foreign_page_opens_no_websocket(
    hub: HubProcess, headers: dict[str, str], status: int
) -> None:
    with pytest.raises(Refused) as refused:
        WebSocket("127.0.0.1", hub.port, "/api/ws", {"Cookie": hub.cookie, **headers})
    assert refused.value.status == status


def test_a_program_and_its_own_page_open_one(hub: HubProcess) -> None:
    own = {"Origin": f"http://127.0.0.1:{hub.port}", "Sec-Fetch-Site": "same-origin"}
    for headers in ({}, own):
        WebSocket("127.0.0.1", hub.port, "/api/ws", {"Cookie": hub.cookie, **headers}).close()


@pytest.mark.parametrize(
    "sent",
    [
        request("GET", "/"),
        request("GET", "/app.js"),
        request("GET", "/api/health"),
        request("GET", "/api/nothing"),
        request("GET", "/api/users"),
        request("DELETE", "/api/health"),
        request("GET", "/../x"),
        request("GET", "/", host="evil.example"),
        request("POST", "/api/auth/login", "Content-Length: 99999999"),
        request("BREW", "/"),
        b"nonsense\r\n\r\n",
        request("GET", "/", "X-Long: " + "a" * 100_000),
    ],
    ids=[
        "page",
        "asset",
        "api",
        "404",
        "401",
        "405",
        "path",
        "host",
        "413",
        "method",
        "400",
        "431",
    ],
)
def test_every_answer_has_the_security_headers(hub: HubProcess, sent: bytes) -> None:
    headers = exchange(hub.port, sent).headers
    for name, value in ALWAYS.items():
        assert headers[name.lower()] == value
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "strict-transport-security" not in headers


def test_production_speaks_of_tls_and_trusts_its_proxy(tmp_path: Path) -> None:
    with HubProcess(
        tmp_path, PRODUCTION="1", TRUST_PROXY="127.0.0.1", TORU_ALLOWED_HOSTS="toru.example.org"
    ) as hub:
        answer = hub.http(
            "POST",
            "/api/auth/login",
            {"username": "admin", "password": ADMIN_PASSWORD},
            cookie="",
            headers={
                "Host": "toru.example.org",
                "Origin": "https://toru.example.org",
                "X-Forwarded-For": "6.6.6.6, 192.0.2.77",
            },
        )
        assert answer.status == 200
        assert "Secure" in answer.headers["Set-Cookie"]
        assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
        assert hub.get("/api/auth/login-history")[0]["ip_address"] == "192.0.2.77"
