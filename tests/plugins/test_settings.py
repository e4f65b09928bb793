"""The settings of plugins in a real hub: told, changed, kept secret.

Runs on: the test's thread, against a real hub.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tests.support.settings_plugin
from tests.plugins.installing import begin, ended, install, offer
from tests.support.hub import Answer, HubProcess, wait_until
from tests.support.plugin_files import Plugins, processes_of

SOURCE = Path(tests.support.settings_plugin.__file__).read_text()
TOKEN = 'hunter2-ßecret/+ "quoted"'
DEFAULTS = {"address": "https://example.org/", "every_s": 60, "loud": False}


@pytest.fixture(scope="module")
def running(plugins: Plugins) -> Plugins:
    """Plugins of every kind."""
    for name in ("set-v1", "set-v2", "set-live", "set-live-logs", "set-live-calls"):
        plugins.write(name, SOURCE)
    plugins.put("quick-v2")
    plugins.ready("set-v1", "set-v2", "set-live", "set-live-logs", "set-live-calls", "quick-v2")
    return plugins


def read(plugins: Plugins, plugin_id: str) -> dict[str, Any]:
    """Return the settings as the API shows them."""
    found: dict[str, Any] = plugins.hub.get(f"/api/plugins/{plugin_id}/settings")
    return found


def change(plugins: Plugins, plugin_id: str, **values: Any) -> Answer:
    """Ask for other settings."""
    path = f"/api/plugins/{plugin_id}/settings"
    return plugins.hub.http("PUT", path, {"values": values})


def told(plugins: Plugins, plugin_id: str) -> dict[str, Any]:
    """Return what the plugin has been told, and by which process."""
    found: dict[str, Any] = plugins.ask(plugin_id, "/told").json
    return found


def call(plugins: Plugins, plugin_id: str, method: str, **params: Any) -> dict[str, Any]:
    """Have the plugin make a call, and return the message that answers it."""
    body = json.dumps([method, params]).encode()
    found: dict[str, Any] = plugins.ask(plugin_id, "/call", "POST", body=body).json
    return found


def all_that_is_kept(hub: HubProcess) -> bytes:
    """Return every log and what the hub has printed."""
    logs = (hub.folder / "logs").rglob("*")
    return b"".join(path.read_bytes() for path in logs if path.is_file()) + hub.log.encode()


def test_a_plugin_that_takes_changes_is_told_them_while_it_runs(running: Plugins) -> None:
    before = told(running, "set-live")
    assert before["told"] == [DEFAULTS]
    assert running.view("set-live")["needs_settings"] is True
    first = change(running, "set-live", token=TOKEN, every_s=5.0, hosts=["ab", "cd"])
    assert (first.status, first.json["applied"]) == (200, "live")
    assert first.json["values"] == {"every_s": 5, "hosts": ["ab", "cd"]}
    assert (first.json["secrets_set"], first.json["missing"]) == (["token"], [])
    assert change(running, "set-live", loud=True).json["applied"] == "live"
    after = wait_until(
        lambda: len((found := told(running, "set-live"))["told"]) == 3 and found, what="news"
    )
    assert after["told"][1] == {**DEFAULTS, "token": TOKEN, "every_s": 5, "hosts": ["ab", "cd"]}
    assert after["told"][2] == {**DEFAULTS, "token": TOKEN, "loud": True}, "the secret stays"
    assert after["pid"] == before["pid"], "it was not restarted"
    assert change(running, "set-live", loud=True).json["applied"] == "unchanged"
    assert running.view("set-live")["needs_settings"] is False


@pytest.mark.parametrize("plugin_id", ["set-v1", "set-v2"])
def test_other_plugins_are_restarted_and_begin_with_what_is_new(
    running: Plugins, plugin_id: str
) -> None:
    before = told(running, plugin_id)
    assert before["told"] == [DEFAULTS]
    answer = change(running, plugin_id, token=TOKEN)
    assert (answer.status, answer.json["applied"]) == (200, "restart")

    def is_new() -> bool:
        found = running.ask(plugin_id, "/told")
        return bool(found.status == 200 and found.json["pid"] != before["pid"])

    wait_until(is_new, what="a new process")
    assert told(running, plugin_id)["told"] == [{**DEFAULTS, "token": TOKEN}]
    assert "crashed" not in running.event_types(plugin_id)


def test_what_is_wrong_is_said_of_each_field_and_changes_nothing(running: Plugins) -> None:
    assert change(running, "set-live", token=TOKEN, share=0.5).status == 200
    before = read(running, "set-live")
    answer = change(
        running, "set-live", token="short", every_s=0, share=2, mode="x", hosts=["ab", "c"], new=1
    )
    assert answer.status == 400
    assert answer.json == {
        "error": "6 settings are not right; nothing was changed.",
        "code": "invalid_settings",
        "fields": {
            "token": "This needs at least 8 characters.",
            "every_s": "This must be at least 1.",
            "share": "This must be at most 1.",
            "mode": "This must be one of: quick, thorough.",
            "hosts": "Entry 2: this needs at least 2 characters.",
            "new": "The plugin has no such setting.",
        },
    }
    needed = change(running, "set-live", token=None)
    assert needed.json["fields"] == {"token": "This is needed."}
    assert "Token" in needed.json["error"]
    assert read(running, "set-live") == before
    for body in ({"values": []}, {}, {"values": {}, "more": 1}, b"{"):
        path = "/api/plugins/set-live/settings"
        assert running.hub.http("PUT", path, body).status == 400


def test_settings_are_for_the_admin_and_only_of_plugins_that_have_some(running: Plugins) -> None:
    client = running.hub.add_client("anna")
    path = "/api/plugins/set-live/settings"
    for cookie, status in ((client, 403), ("", 401)):
        assert running.hub.http("GET", path, cookie=cookie).status == status
        answer = running.hub.http("PUT", path, {"values": {}}, cookie=cookie)
        assert answer.status == status
    for missing, code in (("quick-v2", "no_settings"), ("nobody", "not_found")):
        answer = running.hub.http("GET", f"/api/plugins/{missing}/settings")
        assert (answer.status, answer.json["code"]) == (404, code)
        assert change(running, missing).status == 404
    assert running.view("quick-v2")["has_settings"] is False


def test_no_secret_leaves_the_hub_in_an_answer_or_a_log(running: Plugins) -> None:
    change(running, "set-live-logs", token=TOKEN)
    hidden = [TOKEN, json.dumps(TOKEN)[1:-1], TOKEN.partition("/")[0]]
    answer = running.hub.http("GET", "/api/plugins/set-live-logs/settings")
    assert not [text for text in hidden if text.encode() in answer.body]
    pieces = [
        "the token is hunter",  # a line in three writes
        "2-ßecret/+ ",
        '"quoted" now\n',
        json.dumps({"level": "warn", "message": f"a {TOKEN}", "deep": [{TOKEN: TOKEN}]}) + "\n",
        "at https://x/?t=hunter2-%C3%9Fecret%2F%2B%20%22quoted%22&a=1\n",
        "the end\n",
    ]
    running.ask("set-live-logs", "/print", "POST", body=json.dumps(pieces).encode())
    fields = {"message": f"by call {TOKEN}", "level": "error", "fields": {"t": [TOKEN]}}
    assert call(running, "set-live-logs", "log", **fields)["type"] == "result"

    def is_there() -> list[dict[str, Any]] | None:
        lines = running.logs("set-live-logs")
        texts = [line["message"] for line in lines]
        return lines if {"the end", "by call •••"} <= set(texts) else None

    lines: list[dict[str, Any]] = wait_until(is_there, what="the lines")
    by_text = {line["message"]: line for line in lines}
    assert "the token is ••• now" in by_text
    assert by_text["a •••"]["deep"] == [{"•••": "•••"}]
    assert by_text["by call •••"]["t"] == ["•••"]
    assert "at https://x/?t=•••&a=1" in by_text
    kept = all_that_is_kept(running.hub)
    assert not [text for text in hidden if text.encode() in kept]


def test_the_last_words_of_a_plugin_carry_no_secret(running: Plugins) -> None:
    running.write("set-live-dies", SOURCE)
    running.ready("set-live-dies")
    change(running, "set-live-dies", token=TOKEN)
    for words in (f"failed with {TOKEN}", f"{TOKEN}" * 300):  # more than is kept of them
        running.ask("set-live-dies", "/die", "POST", body=json.dumps(words).encode())
        running.wait("set-live-dies", "backoff")
        reason = running.view("set-live-dies")["reason"]
        assert "•••" in reason
        running.ready("set-live-dies")
    path = "/api/plugins/set-live-dies/events"
    wait_until(lambda: len(running.hub.http("GET", path).json) >= 5, what="the events")
    said = running.hub.http("GET", path).body + all_that_is_kept(running.hub)
    for text in (TOKEN, TOKEN[-12:], json.dumps(TOKEN)[-12:-1]):
        assert text.encode() not in said


def test_emitted_events_carry_no_secret(running: Plugins) -> None:
    change(running, "set-live-logs", token=TOKEN)
    with running.hub.websocket() as socket:
        socket.send({"type": "subscribe", "topics": ["plugin-emitted/set-live-logs"]})
        socket.send({"type": "ping"})
        socket.read_until("pong")
        call(running, "set-live-logs", "event.emit", name="n", data={"t": f"<{TOKEN}>"})
        while True:
            event = socket.read_until("event")
            if event["data"].get("type") == "emitted":
                break
    assert event["data"]["data"] == {"t": "<•••>"}


def test_a_plugin_reads_and_changes_its_own_settings_by_calls(running: Plugins) -> None:
    pid = told(running, "set-live-calls")["pid"]
    wrong = call(running, "set-live-calls", "config.set", values={"every_s": "often"})
    assert (wrong["type"], wrong["code"]) == ("error", "DENIED")
    whole = {**DEFAULTS, "token": TOKEN, "every_s": 7}
    set_now = call(running, "set-live-calls", "config.set", values={"token": TOKEN, "every_s": 7})
    assert set_now["value"] == whole
    again = call(running, "set-live-calls", "config.set", values={"mode": "quick"})
    assert again["value"] == {**whole, "mode": "quick"}, "what is left out stays"
    assert call(running, "set-live-calls", "config.get")["value"] == {**whole, "mode": "quick"}
    cleared = call(running, "set-live-calls", "config.set", values={"every_s": None})
    assert cleared["value"]["every_s"] == 60
    assert told(running, "set-live-calls")["told"][-1] == cleared["value"]
    assert told(running, "set-live-calls")["pid"] == pid
    assert read(running, "set-live-calls")["values"] == {"mode": "quick"}


def test_saving_starts_a_plugin_that_needed_configuration(running: Plugins) -> None:
    running.write("set-live-needs", SOURCE)
    waiting = running.wait("set-live-needs", "broken")
    assert "needs configuration" in waiting["reason"]
    assert (waiting["has_settings"], waiting["needs_settings"]) == (True, True)
    answer = change(running, "set-live-needs", token=TOKEN)
    assert answer.json["applied"] == "restart"
    running.ready("set-live-needs")
    assert told(running, "set-live-needs")["told"] == [{**DEFAULTS, "token": TOKEN}]


def test_what_a_new_version_does_not_allow_gives_way_to_the_default_and_is_kept(
    running: Plugins,
) -> None:
    running.write("set-live-new", SOURCE)
    running.ready("set-live-new")
    change(running, "set-live-new", token=TOKEN, every_s=5, mode="quick", share=0.5)
    newer = SOURCE.replace('"minimum": 1,', '"minimum": 30,').replace('"mode": {', '"kind": {')
    running.write("set-live-new", newer)
    wait_until(
        lambda: "kind" in read(running, "set-live-new")["schema"]["properties"], what="the newer"
    )
    running.ready("set-live-new")
    found = read(running, "set-live-new")
    assert found["values"] == {"share": 0.5}
    assert found["unusable"] == {"every_s": "This must be at least 30."}
    assert told(running, "set-live-new")["told"] == [{**DEFAULTS, "token": TOKEN, "share": 0.5}]
    assert "every_s is not allowed any more" in running.supervisor_log()
    assert change(running, "set-live-new", share=0.6, kind="thorough").status == 200
    running.write("set-live-new", SOURCE)
    wait_until(
        lambda: "mode" in read(running, "set-live-new")["schema"]["properties"], what="the older"
    )
    assert read(running, "set-live-new")["values"] == {"mode": "quick", "share": 0.6}


@pytest.mark.parametrize(
    ("change_of", "why"),
    [
        (('"format": "uri"', '"pattern": "(?=a)b"'), "RE2"),
        (('"minimum": 1', '"minimum": "1"'), "minimum"),
        (('{"type": "boolean"', '{"$ref": "https://example.org/x", "type": "boolean"'), "$ref"),
        (('{"type": "boolean"', '{"type": "object"'), '"loud"'),
    ],
)
def test_a_schema_that_is_no_form_is_said_in_the_list(
    running: Plugins, change_of: tuple[str, str], why: str
) -> None:
    name = f"set-bad-{abs(hash(why)) % 1000}"
    assert change_of[0] in SOURCE
    running.write(name, SOURCE.replace(*change_of))
    found = running.wait(name, "broken")
    assert "settings in its metadata are wrong" in found["reason"]
    assert why in found["reason"]
    assert running.hub.http("GET", f"/api/plugins/{name}/settings").status == 404
    running.remove(name)


def test_settings_outlive_the_hub(own_hub: HubProcess) -> None:
    with own_hub:
        plugins = Plugins(own_hub)
        plugins.write("set-live-kept", SOURCE)
        plugins.ready("set-live-kept")
        assert change(plugins, "set-live-kept", token=TOKEN, loud=True).status == 200
        own_hub.kill()
        own_hub.start()
        plugins.ready("set-live-kept")
        assert told(plugins, "set-live-kept")["told"] == [
            {**DEFAULTS, "token": TOKEN, "loud": True}
        ]
        assert read(plugins, "set-live-kept")["secrets_set"] == ["token"]


def test_what_changes_while_a_version_is_tried_is_told_to_it_when_it_serves(
    plugins: Plugins, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    plugin_id = "set-live-gate"
    name = 'ID = Path(sys.argv[0]).name.removesuffix(".binary")'
    text = SOURCE.replace(name, f'ID = "{plugin_id}"')
    assert install(plugins.hub, text)["state"] == "done"
    serve = '    """Serve all connections."""\n'
    waits = f'    while not Path("{gate}").exists():\n        threading.Event().wait(0.01)\n'
    later = text.replace('"version": "1.0.0"', '"version": "1.1.0"').replace(serve, serve + waits)
    assert waits in later
    install_id = begin(plugins.hub, sha256=offer(plugins.hub, later))
    wait_until(
        lambda: "Starting" in plugins.hub.get(f"/api/plugin-installs/{install_id}")["step"],
        what="the later version to be tried",
    )
    wait_until(lambda: len(processes_of(plugins.folder)) > 1, what="its process")
    assert change(plugins, plugin_id, token=TOKEN, every_s=7).json["applied"] == "live"
    gate.touch()
    assert ended(plugins.hub, install_id)["state"] == "done"
    assert plugins.view(plugin_id)["version"] == "1.1.0"
    wait_until(
        lambda: told(plugins, plugin_id)["told"][-1].get("every_s") == 7,
        what="the change to be told",
    )


def test_a_plugin_that_needs_settings_is_installed_and_runs_once_it_has_them(
    plugins: Plugins,
) -> None:
    plugin_id = "set-live-needs-first"
    name = 'ID = Path(sys.argv[0]).name.removesuffix(".binary")'
    text = SOURCE.replace(name, f'ID = "{plugin_id}"')
    first = install(plugins.hub, text)
    assert (first["state"], first["outcome"]) == ("done", "needs_configuration")
    assert first["step"].endswith("It runs once it has the settings that it needs.")
    assert plugins.wait(plugin_id, "broken")["needs_settings"] is True
    assert change(plugins, plugin_id, token=TOKEN).status == 200
    plugins.ready(plugin_id)
    needs_more = text.replace('"version": "1.0.0"', '"version": "1.1.0"').replace(
        '    """Serve all connections."""\n', '    """Serve all connections."""\n    os._exit(78)\n'
    )
    later = install(plugins.hub, needs_more)
    assert (later["state"], later["previous_version"]) == ("failed", "1.0.0")
    assert "78" in later["error"]
    assert plugins.view(plugin_id)["state"] == "ready"
    assert plugins.view(plugin_id)["version"] == "1.0.0"
