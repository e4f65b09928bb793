"""The machine's figures and the hub's own, on a real hub.

Runs on: pytest's main thread, against a hub in a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.hub import HubProcess, wait_until
from tests.support.web import serving

SHAPE = {
    "cpu_percent",
    "cpu_cores",
    "memory_percent",
    "memory_used",
    "memory_total",
    "swap_used",
    "swap_total",
    "uptime_seconds",
    "disks",
    "network",
    "process_count",
    "system_name",
    "kernel_version",
    "os_version",
    "host_name",
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub for all tests of this file."""
    with serving(tmp_path_factory.mktemp("resources")) as hub:
        yield hub


@pytest.fixture(scope="module")
def client(hub: HubProcess) -> str:
    """The cookie of a user of role client."""
    return hub.add_client("paul")


def test_the_figures_have_the_shape_that_dashboards_know(hub: HubProcess, client: str) -> None:
    for cookie in (hub.cookie, client):
        figures = hub.get("/api/resources", cookie=cookie)
        assert set(figures) >= SHAPE
        assert set(figures["cpu_cores"][0]) == {"name", "usage"}
        assert set(figures["network"][0]) == {"name", "received", "transmitted"}
        assert set(figures["disks"][0]) == {
            "name",
            "mount_point",
            "total_space",
            "available_space",
            "used_space",
            "usage_percent",
        }


def test_the_figures_need_a_session(hub: HubProcess) -> None:
    assert hub.http("GET", "/api/resources", cookie="").status == 401


def test_whoever_subscribes_gets_a_sample_a_second(hub: HubProcess, client: str) -> None:
    with hub.websocket(cookie=client) as socket:
        socket.send({"type": "subscribe", "topics": ["resources"]})
        events = [socket.read_until("event", timeout_s=10) for _ in range(3)]
    assert all(event["topic"] == "resources" for event in events)
    assert set(events[0]["data"]) >= SHAPE
    times = [event["data"]["sampled_at"] for event in events]
    assert times == sorted(set(times))


def test_the_history_goes_on_and_is_for_everybody(hub: HubProcess, client: str) -> None:
    def measured(cookie: str) -> list[float]:
        told = hub.get("/api/resources/history?range=5m", cookie=cookie)
        return [share for share in told["series"]["cpu"] if share is not None]

    wait_until(lambda: len(measured(hub.cookie)) >= 2)
    assert measured(client)
    told = hub.get("/api/resources/history")
    assert (told["step"], told["resolution"]) == (6, 1)
    assert len(told["times"]) == len(told["series"]["load"]) in range(599, 603)
    assert told["from"] < told["to"]
    long = hub.get("/api/resources/history?range=30d")
    assert (long["step"], len(long["cores"])) == (7200, len(told["cores"]))
    begin = "2026-01-01T00:00:00Z"
    long_ago = hub.get(f"/api/resources/history?from={begin}&to=2026-01-02T00:00:00Z&step=3600")
    assert long_ago["series"]["cpu"] == [None] * 24
    assert long_ago["from"] == "2026-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    "query",
    [
        "range=1y",
        "range=1h&from=2026-01-01T00:00:00Z",
        "to=2026-01-01T00:00:00Z",
        "from=yesterday",
        "from=2026-01-01T00:00:00",
        "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&step=1",
        "from=1990-01-01T00:00:00Z",
        "step=0",
        "step=1.5",
        "range=5m&range=1h",
        "colour=red",
    ],
)
def test_a_history_that_cannot_be_told_is_refused_in_one_sentence(
    hub: HubProcess, query: str
) -> None:
    answer = hub.http("GET", f"/api/resources/history?{query}")
    assert answer.status == 400, answer
    assert answer.json["error"].endswith(".")
    assert len(answer.json["error"]) < 200


def test_rates_and_processes_are_told(hub: HubProcess, client: str) -> None:
    rates = hub.get("/api/resources", cookie=client)["rates"]
    assert {"disk_read", "disk_write", "received", "transmitted", "interfaces"} == set(rates)
    told = hub.get("/api/resources/processes?sort=memory&limit=3")
    assert len(told["processes"]) == 3
    assert {"pid", "name", "user", "cpu_percent", "memory_bytes"} <= set(told["processes"][0])
    assert hub.http("GET", "/api/resources/processes", cookie=client).status == 403
    for query in ("sort=name", "limit=0", "limit=101"):
        assert hub.http("GET", f"/api/resources/processes?{query}").status == 400


def test_metrics_are_for_the_admin_and_for_prometheus(hub: HubProcess, client: str) -> None:
    assert hub.http("GET", "/api/metrics", cookie=client).status == 403
    assert hub.http("GET", "/api/metrics", cookie="").status == 401
    with hub.websocket():
        answer = hub.http("GET", "/api/metrics")
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        values = {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(answer.body.decode())
            for sample in family.samples
        }
    assert values["toru_websocket_clients",] == 1
    assert values["toru_runs", "running"] == 0
    assert values["toru_actor_messages_handled_total", "auth"] > 0
    assert values["process_resident_memory_bytes",] > 0


def test_the_actors_are_listed_with_their_mailboxes(hub: HubProcess, client: str) -> None:
    assert hub.http("GET", "/api/actors", cookie=client).status == 403
    assert hub.http("GET", "/api/actors", cookie="").status == 401

    def by_name() -> dict[str, dict[str, object]]:
        return {actor["name"]: actor for actor in hub.get("/api/actors")}

    actors = by_name()
    assert {"db_writer", "auth", "settings", "scripts", "monitor", "task_manager"} <= set(actors)
    assert actors["monitor"]["flavour"] == "thread"
    assert actors["settings"]["flavour"] == "loop"
    assert actors["auth"]["state"] == "running"
    with hub.websocket():
        assert any(name.startswith("client/") for name in by_name())
    wait_until(lambda: not any(name.startswith("client/") for name in by_name()))
