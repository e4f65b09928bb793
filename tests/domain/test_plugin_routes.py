"""Which plugin a path is for, and what it sees of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.domain.plugin_routes import (
    Collision,
    Registration,
    RouteTable,
    Target,
    assign,
    find_by_id,
)

TABLE = RouteTable([("/hello", "hello"), ("/hello/deep/er", "deep"), ("/a.b~c", "dots")])


def found(uri: str) -> tuple[str, str] | None:
    target = TABLE.find("/api/plugins/route" + uri)
    return (target.plugin_id, target.path) if target else None


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("/hello", ("hello", "/")),
        ("/hello/", ("hello", "/")),
        ("/hello?x=1", ("hello", "/?x=1")),
        ("/hello/?", ("hello", "/?")),
        ("/hello/a/b?c=/d/../e", ("hello", "/a/b?c=/d/../e")),
        ("/hello/a%20b%2Fc%C3%A4?x=%0d", ("hello", "/a%20b%2Fc%C3%A4?x=%0d")),
        ("/hello/a//b/", ("hello", "/a//b/")),
        ("/hello/deep", ("hello", "/deep")),
        ("/hello/deep/er", ("deep", "/")),
        ("/hello/deep/er/x", ("deep", "/x")),
        ("/hello/deep/error", ("hello", "/deep/error")),
        ("/hello/...", ("hello", "/...")),
        ("/hello/100%25", ("hello", "/100%25")),
        ("/hello/route/hello", ("hello", "/route/hello")),
        ("/a.b~c/x", ("dots", "/x")),
    ],
)
def test_the_longest_route_of_whole_segments_wins(uri: str, expected: tuple[str, str]) -> None:
    assert found(uri) == expected


@pytest.mark.parametrize(
    "uri",
    [
        *("", "/", "hello", "/hell", "/helloo", "/Hello", "/%68ello", "//hello", "/other/hello"),
        *("/hello%2fx", "/hello;x", "/./hello", "/other/../hello", "?/hello"),
    ],
)
def test_other_spellings_of_a_route_lead_nowhere(uri: str) -> None:
    assert found(uri) is None


@pytest.mark.parametrize(
    "rest",
    [
        *("/..", "/../x", "/a/../b", "/.", "/a/.", "/%2e%2e/x", "/.%2E", "/%252e%252e/x"),
        *("/..%2fx", "/a%2f..%2fb", "/..%5cx", "/%252e%252e%252f", "/..;/x", "//evil.example/x"),
        *("/a\\b", "/a b", "/a\0", "/a%00b", "/a\n", "/ä", "/a?b c", "/a/%2e/b"),
    ],
)
def test_a_path_that_could_mean_another_place_leads_nowhere(rest: str) -> None:
    assert found("/hello" + rest) is None
    assert find_by_id("/api/plugins/hello" + rest) is None


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("/api/plugins/hello-plugin/a/b?c", Target("hello-plugin", "/a/b?c")),
        ("/api/plugins/hello-plugin/", Target("hello-plugin", "/")),
        ("/api/plugins/x?y=/z", Target("x", "/?y=/z")),
        ("/api/plugins/", None),
        ("/api/plugins", None),
        ("/api/pluginsx/a", None),
        ("/api/plugins//a", None),
    ],
)
def test_the_other_form_names_the_plugin(uri: str, expected: Target | None) -> None:
    assert find_by_id(uri) == expected


def test_an_empty_table_leads_nowhere() -> None:
    assert RouteTable().find("/api/plugins/route/hello") is None
    assert len(TABLE) == 3


def test_the_first_by_file_name_has_the_id_and_the_route() -> None:
    first = Registration("a.binary", "one", "/one")
    second = Registration("b.binary", "two", "/one/more")
    same_id = Registration("c.binary", "ONE", "/three")
    same_route = Registration("d.binary", "four", "/one")
    placed, collisions = assign([same_route, second, same_id, first])
    assert placed == [first, second]
    assert collisions == [
        Collision("c.binary", 'Its id "ONE" is already that of a.binary; change one of them.'),
        Collision("d.binary", 'Its route "/one" is already that of a.binary; change one of them.'),
    ]


def test_who_has_no_place_takes_none_from_others() -> None:
    _, collisions = assign(
        [
            Registration("a.binary", "one", "/one"),
            Registration("b.binary", "one", "/two"),
            Registration("c.binary", "three", "/two"),
        ]
    )
    assert [collision.file_name for collision in collisions] == ["b.binary"]


@given(st.text(alphabet="/.%2eEfF5cChelo;\\?ab", max_size=30))
def test_what_a_plugin_sees_is_a_part_of_what_came_and_has_no_dots(rest: str) -> None:
    target = TABLE.find("/api/plugins/route/hello" + rest)
    if target is None:
        return
    assert target.path.removeprefix("/") in rest
    assert not target.path.startswith("//")
    segments = target.path.partition("?")[0].lower().replace("%2e", ".").split("/")
    assert not {".", ".."} & set(segments)
