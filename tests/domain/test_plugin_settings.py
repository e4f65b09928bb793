"""What schemas become forms, and what forms make of values: pure."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.domain.plugin_metadata import BrokenPlugin, parse_metadata
from toru.domain.plugin_settings import InvalidSettings, SettingsForm
from toru.domain.plugin_settings_schema import check_schema
from toru.errors import BadRequest

TEXT = {"type": "string"}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "required": ["token", "host"],
    "properties": {
        "host": {"type": "string", "default": "localhost", "pattern": "^[a-z]+$", "title": "Host"},
        "token": {"type": "string", "writeOnly": True, "minLength": 4, "title": "Token"},
        "pass": {"type": "string", "format": "password"},
        "port": {"type": "integer", "minimum": 1, "maximum": 65535, "x-unit": "port"},
        "hosts": {"type": "array", "items": {"type": "string", "format": "uri"}, "maxItems": 2},
    },
}
FORM = SettingsForm(SCHEMA)


def of(**settings: Any) -> dict[str, Any]:
    return {"type": "object", "properties": settings}


def refusal(schema: Any) -> str:
    with pytest.raises(BrokenPlugin) as refused:
        check_schema(schema)
    return refused.value.sentence


def faults(form: SettingsForm, stored: dict[str, Any], **wish: Any) -> dict[str, str]:
    with pytest.raises(InvalidSettings) as refused:
        form.changed(stored, wish)
    return refused.value.fields


def test_a_sound_schema_passes_with_its_metadata() -> None:
    check_schema(SCHEMA)
    about = {"id": "a", "name": "A", "version": "1", "route": "/a", "settings": SCHEMA}
    assert parse_metadata(json.dumps(about).encode()).settings == SCHEMA
    wrong = {**about, "settings": [1]}
    with pytest.raises(BrokenPlugin, match="settings"):
        parse_metadata(json.dumps(wrong).encode())


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({}, '"type": "object"'),
        ({"type": "object"}, "properties"),
        ({"type": "object", "properties": {}}, "properties"),
        ({"type": "object", "properties": {"a": 1}}, "must be an object"),
        ({**of(a=TEXT), "$defs": {}}, "$defs"),
        ({**of(a=TEXT), "allOf": []}, "allOf"),
        ({**of(a=TEXT), "required": ["b"]}, '"b"'),
        ({**of(a=TEXT), "required": "a"}, "required"),
        (of(a={"$ref": "#"}), '"type"'),
        (of(a={"$ref": "https://example.org/s.json", "type": "string"}), "$ref"),
        (of(a={"type": "object", "properties": {}}), '"type"'),
        (of(a={"type": ["string", "null"]}), '"type"'),
        (of(a={"type": "array", "items": {"type": "number"}}), "list of texts"),
        (of(a={"type": "array"}), "list of texts"),
        (of(a={"type": "string", "minimum": 1}), "minimum"),
        (of(a={"type": "string", "minLength": "1"}), "minLength"),
        (of(a={"type": "string", "format": "date-time"}), "format"),
        (of(a={"type": "string", "pattern": "("}), "pattern"),
        (of(a={"type": "string", "pattern": r"(a)\1"}), "RE2"),
        (of(a={"type": "string", "pattern": "x" * 1001}), "1000"),
        (of(a={"type": "string", "enum": []}), "enum"),
        (of(a={"type": "integer", "enum": [1, "b"]}), "enum"),
        (of(a={"type": "string", "minLength": 3, "default": "b"}), "at least 3"),
        (of(a={"type": "string", "writeOnly": True, "default": "b"}), "secret"),
        (of(**{"a b": TEXT}), "name"),
        (of(__proto__=TEXT), "name"),
        (of(**{f"a{n}": TEXT for n in range(101)}), "100"),
        (of(a={"type": "string", "description": "x" * 70_000}), "64 KiB"),
    ],
)
def test_what_a_form_cannot_draw_is_refused_with_the_reason(schema: Any, why: str) -> None:
    sentence = refusal(schema)
    assert why in sentence
    assert sentence.endswith(".")


def test_the_largest_schemas_and_evil_patterns_take_little_time() -> None:
    choices = [f"choice {n}" for n in range(45)]
    many = of(**{f"a{n}": {"type": "string", "enum": choices} for n in range(100)})
    evil = of(a={"type": "string", "pattern": "^(a+)+$"}, b={"type": "string", "pattern": "(.*)*x"})
    begun = time.process_time()
    check_schema(many)
    SettingsForm(many)
    check_schema(evil)
    form = SettingsForm(evil)
    assert set(faults(form, {}, a="a" * 100_000 + "!", b="a" * 100_000)) == {"a", "b"}
    assert "pattern" in refusal(of(a={"type": "string", "pattern": "((a{900}){900}){900}"}))
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("depth", [20, 500, 980, 985, 990, 995, 999, 5000])
def test_however_deep_a_schema_is_it_is_refused_with_a_sentence(depth: int) -> None:
    deep = "[" * depth + "]" * depth
    places = (
        f'{{"type": "object", "$comment": {deep}, "properties": {{"a": {{"type": "string"}}}}}}',
        f'{{"type": "object", "properties": {{"a": {{"type": "string", "x-a": {deep}}}}}}}',
        f'{{"type": "object", "properties": {{"a": {{"type": "string", "enum": {deep}}}}}}}',
    )
    for schema in places:
        about = f'{{"id": "a", "name": "A", "version": "1", "route": "/a", "settings": {schema}}}'
        with pytest.raises(BrokenPlugin):
            parse_metadata(about.encode())


def test_values_are_merged_with_what_is_stored() -> None:
    stored = {"token": "abcd", "port": 5, "old": [1]}
    assert FORM.changed(stored, {}) == {"token": "abcd", "old": [1]}
    assert FORM.changed(stored, {"port": 6.0, "pass": "x"}) == {
        "token": "abcd",
        "old": [1],
        "port": 6,
        "pass": "x",
    }
    assert FORM.changed(stored, {"pass": "x"}, partly=True) == {**stored, "pass": "x"}
    assert FORM.changed(stored, {"port": None}, partly=True) == {"token": "abcd", "old": [1]}
    assert faults(FORM, stored, token=None) == {"token": "This is needed."}
    assert faults(FORM, {}) == {"token": "This is needed."}, "the host has a default"
    assert FORM.changed({}, {"port": 7}, partly=True) == {"port": 7}, "the rest is left alone"
    with pytest.raises(InvalidSettings):
        FORM.changed({"token": "abcd"}, {"token": None}, partly=True)


def test_each_wrong_value_has_its_sentence() -> None:
    found = faults(FORM, {}, host="A1", token="abc", port=True, hosts=["x:y", "nope"], more=1)
    assert found == {
        "host": "This does not have the form that is asked for (^[a-z]+$).",
        "token": "This needs at least 4 characters.",
        "port": "This must be a whole number.",
        "hosts": "Entry 2: this must be an address such as https://example.org/.",
        "more": "The plugin has no such setting.",
    }
    assert faults(FORM, {"token": "abcd"}, hosts=["a:b"] * 3)["hosts"].startswith("This may have")
    with pytest.raises(InvalidSettings) as refused:
        FORM.changed({}, {"token": "abc"})
    assert refused.value.sentence == (
        "The setting Token is not right: this needs at least 4 characters."
    )
    for depth in (1, 2, 900, 990, 995, 999):
        nested: Any = "a:b"
        for _ in range(depth):
            nested = [nested]
        with pytest.raises(BadRequest):
            FORM.changed({"token": "abcd"}, {"port": nested, "hosts": [nested]})
    assert faults(FORM, {}, token={"a": 1})["token"] == "This must be text."
    many = faults(FORM, {}, token="abcd", hosts=["a:b"] * 1001)
    assert many == {"hosts": "This may have at most 1000 entries."}
    with pytest.raises(BadRequest):
        FORM.changed({"token": "abcd"}, {"token": "\ud800" * 4})
    with pytest.raises(BadRequest, match="256 KiB"):
        FORM.changed({}, {"token": "a" * 300_000})


def test_other_kinds_have_sentences_too() -> None:
    schema = of(
        n={"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 9, "multipleOf": 0.5},
        m={"type": "string", "format": "email", "maxLength": 9},
        p={"type": "string", "format": "path"},
        b={"type": "boolean"},
        u={"type": "array", "items": TEXT, "uniqueItems": True, "minItems": 2},
    )
    check_schema(schema)
    form = SettingsForm(schema)
    assert form.changed({}, {"n": 1.5, "m": "a@b", "p": "/x", "b": False, "u": ["a", "b"]})
    assert faults(form, {}, n=0, m="a", p="x", b=1, u=["a", "a"]) == {
        "n": "This must be more than 0.",
        "m": "This must be an e-mail address.",
        "p": "This must be a whole path, which begins with a slash.",
        "b": "This must be on or off.",
        "u": "This has an entry twice.",
    }
    assert faults(form, {}, n=9, m="anna@example.org", u=["a"]) == {
        "n": "This must be less than 9.",
        "m": "This may have at most 9 characters.",
        "u": "This needs at least 2 entries.",
    }
    assert faults(form, {}, n=1.3, b="x", u="a") == {
        "n": "This must be a multiple of 0.5.",
        "b": "This must be on or off.",
        "u": "This must be a list of texts.",
    }


def test_what_is_not_allowed_any_more_gives_way_to_the_default() -> None:
    stored = {"host": "A", "port": 0, "token": "abcd", "pass": 3}
    assert FORM.config(stored) == {"host": "localhost", "token": "abcd"}
    assert FORM.shown(stored) == {}
    assert FORM.secrets_set(stored) == ["token"]
    assert set(FORM.unusable(stored)) == {"host", "port", "pass"}
    assert FORM.missing(stored) == []
    assert FORM.missing({}) == ["token"]
    assert FORM.hidden({**stored, "pass": "p"}) == ("abcd", "p")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
NAMES = st.sampled_from([*SCHEMA["properties"], "another"])


@given(st.dictionaries(NAMES, JSON), st.dictionaries(NAMES, JSON))
def test_whatever_comes_is_stored_sound_or_refused(
    stored: dict[str, Any], wish: dict[str, Any]
) -> None:
    try:
        new = FORM.changed(stored, wish)
    except InvalidSettings as refused:
        assert refused.fields
        return
    assert set(FORM.unusable(new)) <= set(FORM.secrets), "only secrets stay unseen"
    assert FORM.missing(new) == []
    assert not set(FORM.shown(new)) & set(FORM.secrets)
    assert new.get("another") == stored.get("another")


@given(JSON)
def test_no_schema_fails_in_another_way(value: Any) -> None:
    for schema in (value, of(a=value), {"type": "object", "properties": value}):
        if not isinstance(schema, dict):
            continue
        try:
            check_schema(schema)
        except BrokenPlugin as refused:
            assert refused.sentence.startswith("The settings in its metadata are wrong: ")
