"""What a plugin may say of itself, and what is answered to all else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.domain.plugin_metadata import BrokenPlugin, PluginMetadata, parse_metadata

GOOD: dict[str, object] = {
    "id": "hello-plugin",
    "name": "Hello",
    "version": "1.0.0",
    "route": "/hello",
}


def printed(**changes: object) -> bytes:
    fields = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    return json.dumps(fields).encode()


def reason(stdout: bytes) -> str:
    with pytest.raises(BrokenPlugin) as caught:
        parse_metadata(stdout)
    assert caught.value.status == 409
    assert caught.value.sentence.isprintable()
    assert len(caught.value.sentence) < 400
    return caught.value.sentence


def test_the_fields_of_the_contract_are_read() -> None:
    found = parse_metadata(printed(author="A", icon="👋", protocols=[1, 2], health=True))
    assert found == PluginMetadata(
        "hello-plugin", "Hello", "1.0.0", "/hello", "A", "👋", (1, 2), True
    )
    assert found.protocol == 2


def test_what_is_left_out_has_its_default() -> None:
    found = parse_metadata(b"\n " + printed(author=None) + b"\r\n")
    assert (found.author, found.icon, found.protocols, found.health) == (None, None, (1,), False)
    assert found.protocol == 1


def test_fields_that_nobody_knows_are_left_out() -> None:
    assert parse_metadata(printed(colour={"deep": [1]})).id == "hello-plugin"


@pytest.mark.parametrize(
    ("said", "kept"), [([1], (1,)), ([2], (2,)), ([2, 1, 2], (1, 2)), ([7, 2], (2,))]
)
def test_only_known_protocols_are_kept_and_the_highest_is_spoken(
    said: list[int], kept: tuple[int, ...]
) -> None:
    found = parse_metadata(printed(protocols=said))
    assert found.protocols == kept
    assert found.protocol == kept[-1]


@pytest.mark.parametrize("said", [[], [0], [3], ["1"], 1, "1", [True], [1.5], None])
def test_protocols_without_a_known_one_are_refused(said: object) -> None:
    assert "protocols" in reason(printed(protocols=said))


@pytest.mark.parametrize(
    ("stdout", "words"),
    [
        (b"", "prints nothing"),
        (b" \n\t", "prints nothing"),
        (b"hello", 'no JSON object for --metadata, but "hello"'),
        (b"[1]", "not an object"),
        (b"null", "not an object"),
        (b'"x"', "not an object"),
        (b"Loading\x1b[0m...\n" + printed(), 'before the JSON object of --metadata: "Loading'),
        (b"\xef\xbb\xbf" + printed(), "before the JSON object"),
        (printed() + b"\nbye\n", 'after the JSON object of --metadata: "bye"'),
        (printed() + printed(), "after the JSON object"),
        (b"{", "not valid JSON"),
        (b'{"id":NaN}', "not valid JSON"),
        (b"{" * 100_000, "not valid JSON"),
        (b'{"a":' * 100_000, "not valid JSON"),
        (printed() + b"\xff", "not UTF-8 (byte"),
        (b'{"id":"\\ud800"}', "not valid JSON"),
    ],
)
def test_what_is_not_one_json_object_is_refused_with_the_reason(stdout: bytes, words: str) -> None:
    assert words in reason(stdout)


@pytest.mark.parametrize("field", ["id", "name", "version", "route"])
def test_a_missing_or_wrong_field_is_named(field: str) -> None:
    assert field in reason(printed(**{field: ...}))
    for wrong in (None, 1, [], {}, True):
        assert field in reason(printed(**{field: wrong}))


@pytest.mark.parametrize("field", ["author", "icon", "health"])
def test_a_wrong_optional_field_is_named(field: str) -> None:
    assert field in reason(printed(**{field: 7}))


@pytest.mark.parametrize(
    "wrong", ["", "a b", "a/b", "a.b", "..", "ä", "a" * 65, "a\n", "a_b", "a%2f", "\uff11"]
)
def test_an_id_is_letters_digits_and_hyphens(wrong: str) -> None:
    assert "letters, digits and hyphens" in reason(printed(id=wrong))


def test_the_longest_id_is_taken() -> None:
    assert parse_metadata(printed(id="A-9" + "z" * 61)).id.startswith("A-9")


@pytest.mark.parametrize("word", ["route", "Route", "ROUTE"])
def test_an_id_that_the_api_needs_is_refused(word: str) -> None:
    assert "Toru needs" in reason(printed(id=word))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "", "must not be empty"),
        ("name", " ", "must not be empty"),
        ("name", "x" * 101, "longer than 100"),
        ("name", "a\nb", "control characters"),
        ("name", "a\x1b[31m", "control characters"),
        ("name", "a\u2028b", "control characters"),
        ("version", "", "must not be empty"),
        ("version", "1" * 65, "longer than 64"),
        ("version", "1\0", "control characters"),
        ("author", "a\r", "control characters"),
        ("icon", "x" * 16_385, "longer than 16384"),
    ],
)
def test_texts_have_limits(field: str, value: str, words: str) -> None:
    found = reason(printed(**{field: value}))
    assert words in found
    assert field in found


def test_markup_in_a_name_is_only_text() -> None:
    assert parse_metadata(printed(name="<b>&amp;</b>")).name == "<b>&amp;</b>"


@pytest.mark.parametrize("route", ["/hello", "/a/b/c", "/Hello_World-2.0~x", "/@me:1+2"])
def test_plain_routes_are_taken(route: str) -> None:
    assert parse_metadata(printed(route=route)).route == route


def test_a_slash_at_the_end_of_a_route_means_nothing() -> None:
    assert parse_metadata(printed(route="/hello/")).route == "/hello"


@pytest.mark.parametrize(
    "route",
    [
        *("", "/", "//", "hello", "/a//b", "//a", "/a//", "/..", "/a/../b", "/a..b", "/./b"),
        *("/%2e%2e", "/a%2fb", "/a b", " /a", "/a\n", "/a\\b", "/a?b", "/a#b", "/ä", "/a\0"),
        *("/a;b", "/{x}", "/<b>", "http://x/", "/" + "a" * 128, "/."),
    ],
)
def test_routes_that_could_mean_another_place_are_refused(route: str) -> None:
    assert "route" in reason(printed(route=route))


@given(st.binary(max_size=300))
def test_nothing_but_a_reason_comes_of_nonsense(stdout: bytes) -> None:
    with pytest.raises(BrokenPlugin):
        parse_metadata(stdout)


def test_every_cut_of_good_metadata_is_refused() -> None:
    whole = printed(protocols=[1, 2], icon="ä")
    for cut in range(len(whole)):
        with pytest.raises(BrokenPlugin):
            parse_metadata(whole[:cut])


@given(st.dictionaries(st.sampled_from([*GOOD, "protocols", "icon"]), st.none() | st.text()))
def test_whatever_is_taken_keeps_the_rules(changes: dict[str, object]) -> None:
    try:
        found = parse_metadata(printed(**changes))
    except BrokenPlugin:
        return
    assert found.route.startswith("/")
    assert ".." not in found.route
    assert found.id.isascii()
