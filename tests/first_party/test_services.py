"""The plugin Services: what it makes of systemctl and journalctl, alone and in a real hub.

No systemd runs where these tests do. What it would print comes from real executables that the
tests write (`tests.support.fake_systemd`); only the machine without systemd is the real thing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest
from toru_plugin.testing import Answer, PluginTest

from tests.support import first_party
from tests.support.fake_systemd import UNITS, FakeSystemd
from tests.support.hub import HubProcess, wait_until
from tests.support.plugin_files import Plugins, is_alive

ID = "systemd-services"
API = "/api/plugins/route/services/api/units"
ASKED = ["systemctl", "--no-pager", "--no-ask-password"]
ESCAPED = "systemd-fsck@dev-disk-by\\x2duuid-7A01.service"


@pytest.fixture(scope="module")
def module() -> ModuleType:
    return first_party.load(ID)


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSystemd:
    fake = FakeSystemd(tmp_path / "bin")
    monkeypatch.setenv("PATH", fake.path)
    return fake


def ask(module: ModuleType, *calls: Callable[[PluginTest], Awaitable[Answer]]) -> list[Answer]:
    """Make some calls to a plugin in memory."""

    async def run() -> list[Answer]:
        async with PluginTest(module.plugin) as test:
            return [await call(test) for call in calls]

    return asyncio.run(run())


def get(path: str, **more: Any) -> Callable[[PluginTest], Awaitable[Answer]]:
    return lambda test: test.get(path, **more)


def post(path: str, role: str = "admin") -> Callable[[PluginTest], Awaitable[Answer]]:
    return lambda test: test.post(path, user="anna", role=role)


# Alone


def test_json_and_columns_say_the_same(module: ModuleType, systemd: FakeSystemd) -> None:
    def listed() -> dict[str, dict[str, Any]]:
        [answer] = ask(module, get("/api/units"))
        return {unit["name"]: unit for unit in answer.json()["units"]}

    units = listed()
    systemd.behave("plain")
    in_columns = listed()
    for told in (units, in_columns):
        for unit in told.values():
            since_s = unit.pop("since_s")
            unit["hours"] = since_s and round((time.time() - since_s) / 3600, 1)
    assert units == in_columns
    assert list(units) == sorted([*UNITS, "rsync.service"], key=str.lower)
    assert units["ssh.service"] == {
        "name": "ssh.service",
        "description": "OpenBSD Secure Shell server",
        "load": "loaded",
        "active": "active",
        "sub": "running",
        "boot": "enabled",
        "hours": 1.0,
    }
    assert units[ESCAPED]["boot"] == "static"
    assert (units["rsync.service"]["boot"], units["rsync.service"]["load"]) == ("disabled", "")
    assert "apparmor.service" not in units, "it is only mentioned"


@pytest.mark.parametrize(
    "name",
    [
        "-x.service",
        "ssh.socket",
        "*.service",
        "a b.service",
        "a;b.service",
        "ssh",
        "..%2Fx.service",
    ],
)
def test_what_is_no_name_of_a_service_reaches_no_command(
    module: ModuleType, systemd: FakeSystemd, name: str
) -> None:
    path = f"/api/units/{name}"
    answers = ask(module, get(path), post(f"{path}/stop"), get(f"{path}/logs", role="admin"))
    assert [answer.status for answer in answers] == [400, 400, 400]
    assert systemd.calls == []


def test_only_the_admin_changes_services_and_reads_logs(
    module: ModuleType, systemd: FakeSystemd
) -> None:
    path = "/api/units/cron.service"
    refused = ask(module, post(f"{path}/stop", role="client"), get(f"{path}/logs", role="client"))
    assert [answer.status for answer in refused] == [403, 403]
    assert systemd.calls == []
    shown, unknown = ask(module, get(path, role="client"), post(f"{path}/kill"))
    assert (shown.status, unknown.status) == (200, 404)


def test_refusals_are_told_in_sentences(module: ModuleType, systemd: FakeSystemd) -> None:
    locked, broken, gone, shown, user = ask(
        module,
        post("/api/units/locked.service/stop"),
        post("/api/units/broken.service/start"),
        post("/api/units/gone.service/start"),
        get("/api/units/gone.service"),
        get("/api/units?scope=user"),
    )
    assert (locked.status, broken.status, gone.status, shown.status) == (403, 409, 404, 404)
    assert "who may not do this" in locked.json()["error"]
    assert broken.json()["error"].startswith("Job for broken.service failed because")
    assert "Unit gone.service not found" in gone.json()["error"]
    assert shown.json()["error"] == "There is no service gone.service on this machine."
    assert not user.json()["available"] and "loginctl enable-linger" in user.json()["reason"]
    assert ["systemctl", "--user", *ASKED[1:]] in [call[:4] for call in systemd.calls]


def test_a_change_that_takes_long_goes_on_and_is_told_so(
    module: ModuleType, systemd: FakeSystemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    import systemd_units.units as units

    monkeypatch.setattr(units, "ACTION_TIMEOUT_S", 0.5)
    [answer] = ask(module, post("/api/units/slow.service/stop"))
    assert answer.json()["pending"]
    assert answer.json()["unit"]["active"] == "deactivating"


def test_a_systemctl_that_hangs_is_given_up(
    module: ModuleType, systemd: FakeSystemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    import systemd_units.commands as commands

    monkeypatch.setattr(commands, "ASK_TIMEOUT_S", 0.5)
    systemd.behave("hangs")
    [answer] = ask(module, get("/api/units"))
    assert answer.status == 504
    assert answer.json()["error"] == "systemctl gave no answer within 0.5 seconds."


@pytest.mark.parametrize("mode", ["not booted", "no program"])
def test_where_there_is_no_systemd_it_says_so_and_logs_nothing(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    fake = FakeSystemd(tmp_path / "bin")
    fake.behave("absent")
    monkeypatch.setenv("PATH", fake.path if mode == "not booted" else str(tmp_path))

    async def run() -> None:
        async with PluginTest(module.plugin) as test:
            listed = (await test.get("/api/units")).json()
            assert (listed["available"], listed["units"]) == (False, [])
            assert listed["reason"].startswith("There is no systemd")
            assert (await test.get("/api/units/ssh.service")).status == 503
            assert test.logs == []

    asyncio.run(run())


@pytest.mark.skipif(Path("/run/systemd/system").exists(), reason="systemd runs here")
def test_this_very_machine_without_systemd_is_told_as_one(module: ModuleType) -> None:
    [listed] = ask(module, get("/api/units"))
    assert listed.json()["available"] is False
    assert listed.json()["reason"].startswith("There is no systemd")


def test_lines_of_the_journal_are_read_whatever_they_hold(module: ModuleType) -> None:
    from systemd_units.journal import command, parse_line

    def text(message: str) -> str:
        line = f'{{"__REALTIME_TIMESTAMP":"1763820000123456","MESSAGE":{message}}}'
        parsed = parse_line(line.encode())
        assert parsed is not None
        assert (parsed["time_ms"], parsed["level"]) == (1763820000123, 6)
        return str(parsed["text"])

    assert text('"plain"') == "plain"
    assert text('"\\u001b[31mred\\u001b[0m \\u001b]0;title\\u0007end"') == "red end"
    assert text("[104, 105, 255]") == "hi\ufffd"
    assert text('["one", "two"]') == "one two"
    assert text("null") == "(too long to be shown)"
    for broken in (b"", b"{", b"[]", b'{"MESSAGE":"x"}', b'{"__REALTIME_TIMESTAMP":"x"}'):
        assert parse_line(broken) is None
    assert command("user", "a.service", 5, "--evil")[-2:] == ["--user-unit=a.service", "--lines=5"]


def test_what_stopping_costs_is_known(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    import systemd_units.units as units

    monkeypatch.setattr(units, "own_unit", lambda: "toru.service")
    names = ("toru.service", "sshd.service", "wg-quick@wg0.service", "cron.service")
    risks = [units.risk_of(name) for name in names]
    assert risks == ["toru", "connection", "connection", None]


# In a hub


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Plugins, FakeSystemd]]:
    folder = tmp_path_factory.mktemp("hub")
    fake = FakeSystemd(folder / "bin")
    with HubProcess(folder) as hub:
        yield first_party.install(hub, ID, PATH=fake.path), fake
        assert hub.stop() == 0
    assert "Traceback" not in hub.log, hub.log


def test_services_are_listed_stopped_and_started_through_the_hub(
    world: tuple[Plugins, FakeSystemd],
) -> None:
    plugins, systemd = world
    hub = plugins.hub
    assert systemd.calls == [], "nothing is asked before somebody looks"
    units = hub.get(API)["units"]
    assert {unit["name"]: unit["active"] for unit in units}["cron.service"] == "active"
    before = len(systemd.calls)
    for action, state in (("stop", "inactive"), ("start", "active"), ("restart", "active")):
        answer = hub.http("POST", f"{API}/cron.service/{action}")
        assert (answer.status, answer.json["unit"]["active"]) == (200, state), answer
        assert answer.json["pending"] is False
    changes = [call for call in systemd.calls[before:] if call[3] != "show"]
    assert changes == [
        [*ASKED, verb, "--", "cron.service"] for verb in ("stop", "start", "restart")
    ]
    escaped = hub.get(f"{API}/{ESCAPED.replace(chr(92), '~')}")
    assert (escaped["name"], escaped["active"]) == (ESCAPED, "inactive")
    client = hub.add_client("bert")
    assert hub.http("POST", f"{API}/cron.service/stop", cookie=client).status == 403
    assert hub.http("GET", f"{API}/cron.service/logs", cookie=client).status == 403
    assert hub.http("GET", API, cookie=client).status == 200
    said = [line["message"] for line in plugins.logs(ID)]
    assert said == ["restart cron.service", "start cron.service", "stop cron.service"]
    bundle = hub.http("GET", f"/api/plugins/{ID}/bundle.js").body.decode()
    assert bundle.startswith("(() => {") and f'const ID = "{ID}"' in bundle
    figures = psutil.Process(plugins.view(ID)["pid"])
    assert figures.children() == [], "no process is left of what was asked"
    assert figures.memory_info().rss < 64 * 1024 * 1024


def test_a_journal_is_followed_until_the_browser_leaves(
    world: tuple[Plugins, FakeSystemd],
) -> None:
    plugins, systemd = world
    for number in range(3):
        systemd.write("ssh.service", f"old {number}")
    systemd.write("cron.service", "of another one")
    path = f"{API}/ssh.service/logs"
    with first_party.events(plugins.hub, f"{path}?lines=2") as stream:
        assert next(stream).kind == "open"
        old = [next(stream), next(stream)]
        assert [event.data["text"] for event in old] == ["old 1", "old 2"]
        systemd.write("ssh.service", "new", priority=3)
        new = next(stream)
        assert (new.kind, new.data["text"], new.data["level"]) == ("line", "new", 3)
        [follower] = systemd.followers
        assert is_alive(follower)
    wait_until(lambda: not is_alive(follower), what="the end of journalctl")
    with first_party.events(plugins.hub, path, after=old[0].id) as stream:
        again = [next(stream) for _ in range(3)]
        assert [event.data.get("text") for event in again[1:]] == ["old 2", "new"]
    with first_party.events(plugins.hub, f"{API}/locked.service/logs") as stream:
        *_, last = stream
        assert last.kind == "problem"
        assert "systemd-journal" in last.data["sentence"]
    wait_until(lambda: not any(map(is_alive, systemd.followers)), what="the end of all of them")
