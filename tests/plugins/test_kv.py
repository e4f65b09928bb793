"""The keys of plugins: from the browser, over both versions of the protocol, and their limits.

Runs on: the test's thread, against a real hub.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.hub import HubProcess, wait_until
from tests.support.outsiders import outsider
from tests.support.plugin_files import Plugins
from toru.cli.plugin_build import build_plugin

VALUE_LIMIT = 256 * 1024
PLUGIN_LIMIT = 64 * 1024 * 1024
ALL = ("first", "second", "old", "bare")

SOURCE = '''"""A plugin that does with its keys what it is asked to."""

from toru_plugin import CallError, Entry, Page, Plugin

plugin = Plugin(id="@ID@", name="Keeper @ID@", version="1", route="/@ID@")


def plain(found):
    if isinstance(found, Page):
        return {"entries": [entry._asdict() for entry in found.entries], "cursor": found.cursor}
    return found._asdict() if isinstance(found, Entry) else found


@plugin.post("/kv/{method}")
def kv(request, method):
    wish = request.json()
    if "times" in wish:
        wish["value"] *= wish.pop("times")
    try:
        found = getattr(plugin.kv, method)(**wish)
    except CallError as error:
        return {"error": error.code, "sentence": error.sentence}
    return {"found": plain(found)}


@plugin.post("/call/{method}")
def call(request, method):
    try:
        return {"found": plugin.call(method, request.json(), lambda found: found)}
    except CallError as error:
        return {"error": error.code, "sentence": error.sentence}


if __name__ == "__main__":
    plugin.run()
'''


def build(plugins: Plugins, plugin_id: str, folder: Path) -> None:
    """Build a plugin with the SDK and put it into the hub's folder."""
    source = folder / plugin_id
    source.mkdir()
    (source / "plugin.py").write_text(SOURCE.replace("@ID@", plugin_id))
    plugins.write(plugin_id, build_plugin(source, folder).path.read_bytes())


@pytest.fixture(scope="module")
def running(plugins: Plugins, tmp_path_factory: pytest.TempPathFactory) -> Plugins:
    """Two plugins of version 2 with the SDK, two of version 1 without."""
    folder = tmp_path_factory.mktemp("sources")
    for plugin_id in ("first", "second"):
        build(plugins, plugin_id, folder)
    for plugin_id in ("old", "bare"):
        plugins.write(plugin_id, outsider(plugin_id, "python", "flat", "threads"))
    plugins.ready(*ALL)
    assert [plugins.view(plugin_id)["protocol"] for plugin_id in ALL] == [2, 2, 1, 1]
    return plugins


def browser(plugins: Plugins, plugin_id: str, action: str, key: str, *value: str) -> Any:
    """Return the value that the browser is answered."""
    answer = plugins.kv(plugin_id, action, key, *value)
    assert answer.status == 200, answer
    assert set(answer.json) == {"value"}
    return answer.json["value"]


def v1(plugins: Plugins, plugin_id: str, action: str, key: str, *value: str) -> Any:
    """Return what a plugin of version 1 is answered."""
    return plugins.ask(plugin_id, "/".join(["/kv", action, key, *value])).json["payload"]


def v2(plugins: Plugins, plugin_id: str, method: str, **arguments: Any) -> Any:
    """Return what a method of the SDK returns, or the error."""
    answer = plugins.ask(plugin_id, f"/kv/{method}", "POST", body=arguments)
    assert answer.status == 200, answer
    return answer.json.get("found", answer.json)


def seen(plugins: Plugins, plugin_id: str, key: str) -> Any:
    """Return a value as the plugin itself sees it, whatever it speaks."""
    if plugin_id in ("first", "second"):
        return v2(plugins, plugin_id, "get", key=key)
    return v1(plugins, plugin_id, "get", key)["value"]


def keys(plugins: Plugins, plugin_id: str, prefix: str = "") -> list[str]:
    """Return the keys that a plugin of version 2 lists."""
    found: list[str] = []
    cursor = None
    while True:
        page = v2(plugins, plugin_id, "list", prefix=prefix, cursor=cursor, limit=1000)
        found += [entry["key"] for entry in page["entries"]]
        cursor = page["cursor"]
        if cursor is None:
            return found


def is_sentence(text: str) -> bool:
    """Return whether a text is one that a person can read."""
    return text[:1].isupper() and text.endswith(".") and "Traceback" not in text


# From the browser


@pytest.mark.parametrize("plugin_id", ALL)
def test_the_browser_and_the_plugin_see_the_same_keys(running: Plugins, plugin_id: str) -> None:
    assert browser(running, plugin_id, "get", "colour") is None
    assert seen(running, plugin_id, "colour") is None
    assert browser(running, plugin_id, "set", "colour", "grün 🎉") == "grün 🎉"
    assert browser(running, plugin_id, "get", "colour") == "grün 🎉"
    assert seen(running, plugin_id, "colour") == "grün 🎉"
    if plugin_id in ("first", "second"):
        v2(running, plugin_id, "set", key="colour", value="red")
    else:
        v1(running, plugin_id, "set", "colour", "red")
    assert browser(running, plugin_id, "get", "colour") == "red"
    assert browser(running, plugin_id, "delete", "colour") is None
    assert browser(running, plugin_id, "delete", "colour") is None
    assert seen(running, plugin_id, "colour") is None
    assert browser(running, plugin_id, "set", "empty", "") == ""
    assert seen(running, plugin_id, "empty") == ""


@pytest.mark.parametrize(
    "key",
    ["a/b", "../first", "%", "with space", "ключ", "🔑", "a\u0000b", "\n", "'; --", '"', "null"],
)
def test_any_text_is_a_key(running: Plugins, key: str) -> None:
    assert browser(running, "first", "set", key, f"value of {key}") == f"value of {key}"
    assert v2(running, "first", "get", key=key) == f"value of {key}"
    assert keys(running, "first", prefix=key) == [key]
    v2(running, "first", "delete", key=key)
    assert browser(running, "first", "get", key) is None


def test_a_client_may_use_a_plugins_keys_and_a_stranger_may_not(running: Plugins) -> None:
    cookie = running.hub.add_client("visitor")
    path = "/api/plugins/first/kv"
    wish = {"action": "set", "key": "from a client", "value": "hello"}
    assert running.hub.http("POST", path, wish, cookie=cookie).json == {"value": "hello"}
    assert seen(running, "first", "from a client") == "hello"
    wish = {"action": "delete", "key": "from a client"}
    assert running.hub.http("POST", path, wish, cookie="").status == 401
    assert seen(running, "first", "from a client") == "hello"
    assert running.hub.http("POST", path, wish, cookie=cookie).json == {"value": None}


@pytest.mark.parametrize(
    "body",
    [
        {"action": "get"},
        {"key": "a"},
        {"action": "list", "key": "a"},
        {"action": "GET", "key": "a"},
        {"action": "", "key": "a"},
        {"action": None, "key": "a"},
        {"action": ["get"], "key": "a"},
        {"action": "get", "key": 1},
        {"action": "get", "key": None},
        {"action": "get", "key": ["a"]},
        {"action": "get", "key": ""},
        {"action": "set", "key": "a"},
        {"action": "set", "key": "a", "value": None},
        {"action": "set", "key": "a", "value": 1},
        {"action": "set", "key": "a", "value": True},
        {"action": "set", "key": "a", "value": {"b": "c"}},
        {"action": "set", "key": "", "value": "b"},
        {"action": "get", "key": "a", "plugin_id": "second"},
        {"action": "get", "key": "a", "plugin": "second"},
        [],
        "get",
        b"",
        b"{",
        b'{"action": "set", "key": "\\ud800", "value": "a"}',
        b'{"action": "set", "key": "a", "value": "\\udfff"}',
        b'{"action": "set", "key": "\xff", "value": "a"}',
    ],
    ids=repr,
)
def test_a_wrong_wish_is_400_with_a_sentence_and_changes_nothing(
    running: Plugins, body: Any
) -> None:
    before = v2(running, "first", "list", limit=1000)
    headers = {"Content-Type": "application/json"}
    answer = running.hub.http("POST", "/api/plugins/first/kv", body, headers=headers)
    assert answer.status == 400, answer
    assert is_sentence(answer.json["error"]), answer.json
    assert v2(running, "first", "list", limit=1000) == before


def test_an_unknown_and_a_disabled_plugin_are_404_and_keys_outlive_the_disabling(
    running: Plugins,
) -> None:
    assert browser(running, "bare", "set", "kept", "yes") == "yes"
    assert running.wish("bare", "disable").status == 200
    for plugin_id in ("nobody", "bare", "BARE"):
        for wish in (("get", "kept"), ("set", "kept", "no"), ("delete", "kept")):
            answer = running.kv(plugin_id, *wish)
            assert answer.status == 404, (plugin_id, answer)
            assert is_sentence(answer.json["error"])
    assert running.wish("bare", "enable").status == 200
    assert browser(running, "bare", "get", "kept") == "yes"
    assert seen(running, "bare", "kept") == "yes"


# Between plugins


def test_no_plugin_reads_or_changes_anothers_keys(running: Plugins) -> None:
    for plugin_id in ALL:
        assert browser(running, plugin_id, "set", "shared", f"of {plugin_id}")
    for plugin_id in ALL:
        assert seen(running, plugin_id, "shared") == f"of {plugin_id}"
    for number, plugin_id in enumerate(ALL):
        others = [other for other in ALL if other != plugin_id]
        if plugin_id in ("first", "second"):
            v2(running, plugin_id, "set", key="shared", value="mine")
            assert browser(running, plugin_id, "get", "shared") == "mine"
            v2(running, plugin_id, "delete", key="shared")
            assert keys(running, plugin_id, "shared") == []
        else:
            v1(running, plugin_id, "set", "shared", "mine")
            assert browser(running, plugin_id, "get", "shared") == "mine"
            v1(running, plugin_id, "delete", "shared")
        for other in others:
            gone = ALL.index(other) < number
            assert seen(running, other, "shared") == (None if gone else f"of {other}")
            assert browser(running, other, "get", "shared") == (None if gone else f"of {other}")


@pytest.mark.parametrize("field", ["plugin_id", "plugin", "id", "namespace"])
def test_a_plugin_cannot_name_another_whose_keys_it_wants(running: Plugins, field: str) -> None:
    browser(running, "second", "set", "secret", "s")
    for method, more in (("kv.get", {}), ("kv.set", {"value": "x"}), ("kv.delete", {})):
        params = {"key": "secret", **more, field: "second"}
        answer = running.ask("first", f"/call/{method}", "POST", body=params).json
        assert answer.get("error") == "DENIED", answer
    params = {"prefix": "", field: "second"}
    assert running.ask("first", "/call/kv.list", "POST", body=params).json["error"] == "DENIED"
    assert browser(running, "second", "get", "secret") == "s"
    assert browser(running, "first", "get", "secret") is None


# What version 2 adds


def test_a_list_has_a_prefix_an_order_and_pages(running: Plugins) -> None:
    names = [f"list/{number:03}" for number in range(25)] + [
        "list/ä",
        "list/🎉",
        "list/%",
        "list/_",
    ]
    for name in reversed(names):
        browser(running, "second", "set", name, f"v {name}")
    browser(running, "second", "set", "lisu", "not in it")
    browser(running, "second", "set", "lis", "not in it")
    assert keys(running, "second", "list/") == sorted(names)
    assert keys(running, "second", "list/_") == ["list/_"]
    assert keys(running, "second", "list/%") == ["list/%"]
    assert keys(running, "second", "List/") == []
    assert keys(running, "second", "list/01") == [f"list/{number:03}" for number in range(10, 20)]
    found, cursor, sizes = [], None, []
    while True:
        page = v2(running, "second", "list", prefix="list/", cursor=cursor, limit=10)
        found += page["entries"]
        sizes.append(len(page["entries"]))
        cursor = page["cursor"]
        if cursor is None:
            break
    assert sizes == [10, 10, 9]
    assert [entry["key"] for entry in found] == sorted(names)
    assert [entry["value"] for entry in found] == [f"v {name}" for name in sorted(names)]
    assert len({entry["version"] for entry in found}) == len(names)


def test_a_page_goes_on_where_it_was_though_keys_came_and_went(running: Plugins) -> None:
    for name in "bdfh":
        browser(running, "second", "set", f"walk/{name}", name)
    page = v2(running, "second", "list", prefix="walk/", limit=2)
    assert [entry["value"] for entry in page["entries"]] == ["b", "d"]
    browser(running, "second", "delete", "walk/d")
    browser(running, "second", "set", "walk/a", "a")
    browser(running, "second", "set", "walk/e", "e")
    page = v2(running, "second", "list", prefix="walk/", limit=10, cursor=page["cursor"])
    assert [entry["value"] for entry in page["entries"]] == ["e", "f", "h"]


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_page_has_1_to_1000_entries(running: Plugins, limit: int) -> None:
    answer = v2(running, "second", "list", limit=limit)
    assert answer["error"] == "DENIED"
    assert is_sentence(answer["sentence"])


def test_keys_with_a_time_to_live_are_gone_after_it(running: Plugins) -> None:
    v2(running, "first", "set", key="ttl/short", value="s", ttl_s=0.5)
    v2(running, "first", "set", key="ttl/kept", value="k", ttl_s=0.1)
    v2(running, "first", "set", key="ttl/kept", value="k")
    v2(running, "first", "set", key="ttl/long", value="l", ttl_s=3600)
    wait_until(lambda: browser(running, "first", "get", "ttl/short") is None, what="the expiry")
    assert v2(running, "first", "get", key="ttl/short") is None
    assert v2(running, "first", "entry", key="ttl/short") is None
    kept, long = v2(running, "first", "list", prefix="ttl/")["entries"]
    assert (kept["key"], kept["value"], kept["expires_at"]) == ("ttl/kept", "k", None)
    assert (long["key"], long["value"]) == ("ttl/long", "l")
    assert long["expires_at"].endswith("Z")
    assert v2(running, "first", "set", key="ttl/short", value="new", if_version=0)
    assert browser(running, "first", "get", "ttl/short") == "new"


@pytest.mark.parametrize("ttl_s", [0, -1, 1e300])
def test_a_time_to_live_is_more_than_nothing_and_no_age(running: Plugins, ttl_s: float) -> None:
    answer = v2(running, "first", "set", key="never", value="x", ttl_s=ttl_s)
    assert answer["error"] == "DENIED"
    assert is_sentence(answer["sentence"])
    assert browser(running, "first", "get", "never") is None


def test_compare_and_set_answers_conflict_and_changes_nothing(running: Plugins) -> None:
    first = v2(running, "first", "set", key="cas", value="1", if_version=0)
    second = v2(running, "first", "set", key="cas", value="2", if_version=first)
    assert second > first
    assert v2(running, "first", "entry", key="cas")["version"] == second
    for wrong in (0, first, second + 1):
        for method, more in (("set", {"value": "3"}), ("delete", {})):
            answer = v2(running, "first", method, key="cas", if_version=wrong, **more)
            assert answer["error"] == "CONFLICT", answer
            assert is_sentence(answer["sentence"])
    assert v2(running, "first", "entry", key="cas")["value"] == "2"
    assert v2(running, "first", "entry", key="cas")["version"] == second
    browser(running, "first", "set", "cas", "by the browser")
    answer = v2(running, "first", "set", key="cas", value="4", if_version=second)
    assert answer["error"] == "CONFLICT"
    third = v2(running, "first", "entry", key="cas")["version"]
    assert v2(running, "first", "delete", key="cas", if_version=third) is None
    assert v2(running, "first", "set", key="cas", value="5", if_version=0) > third


def test_a_batch_is_made_whole_and_in_its_order(running: Plugins) -> None:
    browser(running, "first", "set", "batch/old", "x")
    changes = [
        {"action": "set", "key": "batch/a", "value": "1"},
        {"action": "delete", "key": "batch/old"},
        {"action": "set", "key": "batch/a", "value": "2"},
        {"action": "set", "key": "batch/b", "value": "3", "ttl_s": 3600, "if_version": 0},
        {"action": "delete", "key": "batch/none"},
    ]
    versions = v2(running, "first", "batch", changes=changes)
    assert [version is None for version in versions] == [False, True, False, False, True]
    assert versions[0] < versions[2] < versions[3]
    assert keys(running, "first", "batch/") == ["batch/a", "batch/b"]
    assert browser(running, "first", "get", "batch/a") == "2"


@pytest.mark.parametrize(
    ("last", "code"),
    [
        ({"action": "set", "key": "none/b", "value": "x", "if_version": 7}, "CONFLICT"),
        ({"action": "delete", "key": "none/b", "if_version": 7}, "CONFLICT"),
        ({"action": "set", "key": "k" * 257, "value": "x"}, None),
        ({"action": "set", "key": "", "value": "x"}, None),
        ({"action": "set", "key": "none/b", "value": "x" * (VALUE_LIMIT + 1)}, None),
        ({"action": "set", "key": "none/b", "value": "x", "ttl_s": -1}, None),
        ({"action": "set", "key": "none/b", "value": 1}, None),
        ({"action": "set", "key": "none/b"}, None),
        ({"action": "move", "key": "none/b"}, None),
    ],
)
def test_a_batch_with_one_wrong_change_changes_nothing(
    running: Plugins, last: dict[str, Any], code: str | None
) -> None:
    browser(running, "first", "set", "none/kept", "as it was")
    changes = [
        {"action": "set", "key": "none/a", "value": "1"},
        {"action": "set", "key": "none/kept", "value": "changed"},
        {"action": "delete", "key": "none/kept"},
        last,
    ]
    answer = v2(running, "first", "batch", changes=changes)
    assert answer["error"] == code or (code is None and answer["error"] != "INTERNAL"), answer
    assert is_sentence(answer["sentence"]), answer
    assert keys(running, "first", "none/") == ["none/kept"]
    assert browser(running, "first", "get", "none/kept") == "as it was"


def test_a_batch_has_at_most_100_changes(running: Plugins) -> None:
    changes = [{"action": "set", "key": f"many/{n:03}", "value": "x"} for n in range(101)]
    answer = v2(running, "first", "batch", changes=changes)
    assert is_sentence(answer["sentence"])
    assert keys(running, "first", "many/") == []
    assert len(v2(running, "first", "batch", changes=changes[:100])) == 100
    assert len(keys(running, "first", "many/")) == 100


# Limits


@pytest.mark.parametrize(
    ("key", "is_good"),
    [
        ("k" * 256, True),
        ("ö" * 128, True),
        ("k" * 257, False),
        ("ö" * 128 + "k", False),
    ],
)
def test_a_key_has_at_most_256_bytes(running: Plugins, key: str, is_good: bool) -> None:
    answer = running.kv("first", "set", key, "v")
    told = v2(running, "first", "set", key=key, value="v")
    told_v1 = v1(running, "old", "set", "k" * len(key.encode()), "v")
    if is_good:
        assert answer.json == {"value": "v"}
        assert isinstance(told, int)
        assert told_v1 == {"value": "v"}
        assert v2(running, "first", "get", key=key) == "v"
        return
    assert answer.status in (400, 413)
    assert is_sentence(answer.json["error"])
    assert is_sentence(told["sentence"])
    assert told_v1["value"] is None
    assert is_sentence(told_v1["error"])
    assert key not in keys(running, "first", key[:1])


@pytest.mark.parametrize("character", ["x", "ä", "\u0001", "🎉"])
def test_a_value_has_at_most_256_kib(running: Plugins, character: str) -> None:
    whole = character * (VALUE_LIMIT // len(character.encode()))
    key = f"big/{ord(character)}"
    assert browser(running, "first", "set", key, whole) == whole
    assert browser(running, "first", "get", key) == whole
    answer = running.kv("first", "set", key, whole + "x")
    assert answer.status == 413, answer
    assert is_sentence(answer.json["error"])
    told = v2(running, "first", "set", key=key, value=character, times=len(whole) + 1)
    assert told["error"] in ("DENIED", "TOO_LARGE")
    assert told["sentence"]
    assert browser(running, "first", "get", key) == whole
    browser(running, "first", "delete", key)


def test_a_value_whose_json_is_too_long_for_version_2_is_refused_with_a_sentence(
    running: Plugins,
) -> None:
    value = "\u0001" * VALUE_LIMIT
    browser(running, "first", "set", "escaped", value)
    pid = running.view("first")["pid"]
    for method, params in (("get", {"key": "escaped"}), ("list", {"prefix": "escaped"})):
        told = v2(running, "first", method, **params)
        assert is_sentence(told["sentence"]), told
    told = v2(running, "first", "set", key="escaped", value="\u0002", times=VALUE_LIMIT)
    assert told["error"] == "TOO_LARGE", told
    assert told["sentence"]
    assert browser(running, "first", "get", "escaped") == value
    v2(running, "first", "delete", key="escaped")
    assert running.view("first")["pid"] == pid


def test_large_values_of_much_punctuation_are_listed_in_pages(running: Plugins) -> None:
    value = '"\n' * (VALUE_LIMIT // 2)
    for number in range(6):
        browser(running, "first", "set", f"quotes/{number}", value)
    assert keys(running, "first", "quotes/") == [f"quotes/{number}" for number in range(6)]
    for number in range(6):
        browser(running, "first", "delete", f"quotes/{number}")


def test_all_that_a_plugin_keeps_has_at_most_64_mib(running: Plugins) -> None:
    value = "x" * VALUE_LIMIT
    statuses = []
    for number in range(257):
        statuses.append(running.kv("second", "set", f"fill/{number:03}", value).status)
    stored = keys(running, "second", "fill/")
    refused = [f"fill/{n:03}" for n in range(257) if statuses[n] != 200]
    assert {status for status in statuses if status != 200} == {413}
    assert stored == [f"fill/{n:03}" for n in range(257) if statuses[n] == 200]
    assert PLUGIN_LIMIT - 2 * VALUE_LIMIT < len(stored) * VALUE_LIMIT <= PLUGIN_LIMIT
    assert_full(running, refused[0], value)
    assert_room(running, stored, value)


def assert_full(plugins: Plugins, key: str, value: str) -> None:
    """The plugin is told so on every way, and what it has stays; others have room."""
    answer = plugins.kv("second", "set", key, value)
    assert answer.status == 413
    assert is_sentence(answer.json["error"])
    assert "64 MiB" in answer.json["error"]
    changes = [
        {"action": "delete", "key": "fill/000"},
        {"action": "set", "key": "new/1", "value": value},
        {"action": "set", "key": "new/2", "value": value},
        {"action": "set", "key": "new/3", "value": value},
    ]
    told = v2(plugins, "second", "batch", changes=changes[1:3])
    assert is_sentence(told["sentence"])
    told = v2(plugins, "second", "batch", changes=[*changes[:1], *changes[2:]])
    assert is_sentence(told["sentence"])
    assert browser(plugins, "second", "get", "fill/000") == value
    assert browser(plugins, "second", "get", key) is None
    assert keys(plugins, "second", "new/") == []
    assert browser(plugins, "first", "set", "room", value) == value


def assert_room(plugins: Plugins, stored: list[str], value: str) -> None:
    """A full plugin may still read, replace by as much, and have again what it gives up."""
    assert browser(plugins, "second", "set", stored[1], "y" * VALUE_LIMIT) == "y" * VALUE_LIMIT
    browser(plugins, "second", "delete", stored[2])
    assert browser(plugins, "second", "set", "fill/2", value) == value
    for key in (*stored, "fill/2"):
        v2(plugins, "second", "delete", key=key)
    assert keys(plugins, "second", "fill/") == []
    assert browser(plugins, "second", "set", "after", value) == value


# What stays


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_keys_survive_the_hub(running: Plugins, hub: HubProcess, end: str) -> None:
    for plugin_id in ALL:
        browser(running, plugin_id, "set", f"survivor-{end}", f"of {plugin_id}")
    version = v2(running, "first", "set", key="versioned", value="v")
    before = v2(running, "first", "list", limit=1000)
    last = running.kv("old", "set", "last", end)
    assert last.status == 200
    (hub.stop if end == "stop" else hub.kill)()
    hub.start()
    running.ready(*ALL)
    for plugin_id in ALL:
        assert browser(running, plugin_id, "get", f"survivor-{end}") == f"of {plugin_id}"
        assert seen(running, plugin_id, f"survivor-{end}") == f"of {plugin_id}"
    assert seen(running, "old", "last") == end
    assert v2(running, "first", "list", limit=1000) == before
    answer = v2(running, "first", "set", key="versioned", value="w", if_version=version - 1)
    assert answer["error"] == "CONFLICT"
    assert v2(running, "first", "set", key="versioned", value="w", if_version=version) > version


def test_keys_stay_when_a_plugin_moves_to_version_2(running: Plugins, tmp_path: Path) -> None:
    v1(running, "old", "set", "moved", "from-version-1")
    build(running, "old", tmp_path)
    wait_until(lambda: running.view("old").get("protocol") == 2, what="the new file")
    running.ready("old")
    assert v2(running, "old", "get", key="moved") == "from-version-1"
    entry = v2(running, "old", "entry", key="moved")
    assert v2(running, "old", "set", key="moved", value="x", if_version=entry["version"])
    assert browser(running, "old", "get", "moved") == "x"


def test_keys_stay_when_a_file_goes_away_and_comes_back(running: Plugins) -> None:
    browser(running, "second", "set", "absent", "not forgotten")
    kept = (running.folder / "second.binary").read_bytes()
    running.remove("second")
    wait_until(lambda: not running.view("second"), what="the end of the plugin")
    assert running.kv("second", "get", "absent").status == 404
    running.write("second", kept)
    running.ready("second")
    assert v2(running, "second", "get", key="absent") == "not forgotten"
