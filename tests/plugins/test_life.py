"""A plugin's life as a person sees it: it appears, is replaced, switched off and on, taken away.

Runs on: the test's thread, against a real hub.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path

from tests.support.hub import HubProcess, wait_until
from tests.support.plugin_files import Plugins, at_once, is_alive, processes_of


def renewed(version: str) -> str:
    """Return the quick plugin with another version."""
    source = Path("tests/support/quick_plugin.py").read_text()
    return source.replace('"version": "1.0.0"', f'"version": "{version}"')


def test_an_empty_folder_has_no_plugins(plugins: Plugins) -> None:
    assert plugins.hub.get("/api/plugins") == []


def test_a_file_that_is_dropped_in_appears_and_takes_requests(plugins: Plugins) -> None:
    plugins.start("quick-v2", "quick-v1")
    view = plugins.view("quick-v2")
    assert (view["name"], view["version"], view["route"]) == (
        "Quick quick-v2",
        "1.0.0",
        "/quick-v2",
    )
    assert (view["enabled"], view["running"], view["health"]) == (True, True, "healthy")
    assert (view["protocol"], plugins.view("quick-v1")["protocol"]) == (2, 1)
    assert is_alive(view["pid"])
    socket_path = Path(view["socket_path"])
    assert socket_path.is_socket()
    assert stat.S_IMODE(socket_path.parent.stat().st_mode) == 0o700
    for plugin_id in ("quick-v1", "quick-v2"):
        assert plugins.ask(plugin_id, "/hello").json == {"hello": "world"}
        by_route = plugins.hub.http("GET", f"/api/plugins/route/{plugin_id}/hello")
        assert by_route.json == {"hello": "world"}
        plugins.has_lived(plugin_id, "started")


def test_a_client_sees_the_plugins_but_no_pid_and_no_path(plugins: Plugins) -> None:
    cookie = plugins.hub.add_client("looker")
    listed = plugins.hub.get("/api/plugins", cookie=cookie)
    assert {plugin["id"] for plugin in listed} == {"quick-v1", "quick-v2"}
    one = plugins.hub.get("/api/plugins/quick-v1", cookie=cookie)
    for plugin in [*listed, one]:
        assert plugin["pid"] is None
        assert plugin["socket_path"] is None
        assert plugin["health"] == "healthy"
    assert plugins.ask("quick-v1", cookie=cookie).status == 200
    for wish in ("enable", "disable", "restart"):
        answer = plugins.hub.http("POST", f"/api/plugins/quick-v1/{wish}", cookie=cookie)
        assert answer.status == 403


def test_disable_answers_when_the_process_is_gone_and_enable_when_it_is_ready(
    plugins: Plugins,
) -> None:
    pid = plugins.view("quick-v2")["pid"]
    assert plugins.wish("quick-v2", "disable").json == {"success": True}
    assert not is_alive(pid)
    view = plugins.view("quick-v2")
    assert (view["enabled"], view["running"], view["health"]) == (False, False, "disabled")
    assert view["pid"] is None
    config = json.loads((plugins.folder / ".metadata" / "config.json").read_text())
    assert config == {"plugins": {"quick-v2": False}}
    answer = plugins.ask("quick-v2")
    assert (answer.status, answer.json["code"]) == (404, "plugin_disabled")
    assert plugins.hub.http("GET", "/api/plugins/route/quick-v2/x").status == 404
    assert plugins.hub.http("GET", "/api/plugins/quick-v2/bundle.js").status == 404
    assert plugins.kv("quick-v2", "get", "a").status == 404
    assert plugins.wish("quick-v2", "restart").status == 409

    assert plugins.wish("quick-v2", "enable").json == {"success": True}
    assert plugins.ask("quick-v2").status == 200
    assert plugins.view("quick-v2")["state"] == "ready"
    assert plugins.event_types("quick-v2")[-4:] == ["disabled", "stopped", "enabled", "started"]


def test_restart_answers_when_another_process_is_ready(plugins: Plugins) -> None:
    for plugin_id in ("quick-v1", "quick-v2"):
        pid = plugins.view(plugin_id)["pid"]
        assert plugins.wish(plugin_id, "restart").json == {"success": True}
        assert not is_alive(pid)
        assert plugins.view(plugin_id)["pid"] != pid
        assert plugins.ask(plugin_id).status == 200
        assert plugins.event_types(plugin_id)[-2:] == ["stopped", "restarted"]


def test_twenty_wishes_at_once_all_get_an_answer_and_leave_one_process(plugins: Plugins) -> None:
    wishes = ["restart", "disable", "enable", "enable"] * 5
    answers = at_once([lambda wish=wish: plugins.wish("quick-v2", wish) for wish in wishes])
    assert {answer.status for answer in answers} <= {200, 409, 503}
    assert plugins.wish("quick-v2", "enable").status == 200
    assert plugins.ask("quick-v2").status == 200
    own = [one for one in processes_of(plugins.folder) if "quick-v2" in " ".join(one.cmdline())]
    assert len(own) == 1


def test_a_replaced_file_is_started_anew_and_its_version_shown(plugins: Plugins) -> None:
    pid = plugins.view("quick-v1")["pid"]
    plugins.write("quick-v1", renewed("2.0.0"))
    wait_until(lambda: plugins.view("quick-v1").get("version") == "2.0.0", what="the new version")
    plugins.ready("quick-v1")
    assert not is_alive(pid)
    assert plugins.ask("quick-v1").status == 200


def test_a_removed_file_is_stopped_and_gone(plugins: Plugins) -> None:
    pid = plugins.view("quick-v1")["pid"]
    plugins.remove("quick-v1")
    wait_until(lambda: not plugins.view("quick-v1"), what="the end of the plugin")
    assert not is_alive(pid)
    assert "quick-v1" not in plugins.all()
    assert plugins.ask("quick-v1").status == 404


def test_a_file_that_goes_and_comes_back_unchanged_is_started_again(plugins: Plugins) -> None:
    path, aside = plugins.folder / "quick-v2.binary", plugins.folder / "aside"
    path.rename(aside)
    wait_until(lambda: not plugins.view("quick-v2"), what="the end of the plugin")
    aside.rename(path)
    plugins.ready("quick-v2")


def test_the_folder_may_go_away_and_come_back(plugins: Plugins) -> None:
    kept = plugins.folder.with_name("kept")
    plugins.folder.rename(kept)
    wait_until(lambda: plugins.hub.get("/api/plugins") == [], what="the end of the plugins")
    kept.rename(plugins.folder)
    plugins.ready("quick-v2")


def test_enabled_states_are_kept_over_a_restart_of_the_hub(plugins: Plugins) -> None:
    plugins.start("quick-b-v1")
    assert plugins.wish("quick-b-v1", "disable").status == 200
    before = plugins.view("quick-v2")["pid"]
    assert plugins.hub.stop() == 0
    assert not processes_of(plugins.folder)
    plugins.hub.start()
    plugins.ready("quick-v2")
    plugins.wait("quick-b-v1", "disabled")
    assert plugins.view("quick-v2")["pid"] != before
    assert plugins.view("quick-b-v1")["enabled"] is False
    assert plugins.wish("quick-b-v1", "enable").status == 200
    assert plugins.ask("quick-b-v1").status == 200


def test_an_unknown_plugin_is_404_for_everything(plugins: Plugins) -> None:
    for path in ("", "/enable", "/disable", "/restart", "/bundle.js", "/kv", "/some/path"):
        is_wish = path in ("/enable", "/disable", "/restart")
        method = "POST" if is_wish or path == "/kv" else "GET"
        body = {"action": "get", "key": "a"} if path == "/kv" else None
        answer = plugins.hub.http(method, f"/api/plugins/nobody{path}", body)
        assert answer.status == 404, (path, answer)
        assert answer.json["error"].endswith(".")
    assert plugins.hub.http("GET", "/api/plugins/route/nobody/x").status == 404


def test_the_bundle_is_the_file_else_what_the_plugin_answers(plugins: Plugins) -> None:
    answered = plugins.hub.http("GET", "/api/plugins/quick-v2/bundle.js")
    assert (answered.status, answered.body) == (200, b'{"hello":"world"}')
    assert answered.headers["Content-Type"].startswith("text/javascript")
    (plugins.folder / "quick-v2").mkdir()
    (plugins.folder / "quick-v2" / "bundle.js").write_text("window.ToruPlugins = {};")
    from_file = plugins.hub.http("GET", "/api/plugins/quick-v2/bundle.js")
    assert from_file.body == b"window.ToruPlugins = {};"


def test_without_a_plugins_folder_the_hub_has_no_plugins(own_hub: HubProcess) -> None:
    own_hub.plugins_dir.rmdir()
    own_hub.environment["TORU_PLUGIN_LOOK_S"] = ""  # as often as when nobody has chosen
    own_hub.start()
    own_hub.log_in()
    assert own_hub.get("/api/plugins") == []
    assert own_hub.get("/api/health") == {"status": "ok"}
    own_hub.plugins_dir.mkdir()
    Plugins(own_hub).start("quick-v2")
