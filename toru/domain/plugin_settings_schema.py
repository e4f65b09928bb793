"""The JSON Schema that a plugin declares its settings with: the part that becomes a form.

Draft 2020-12 is checked and applied by ``jsonschema``. What a form cannot draw is refused before
that: nothing refers to anything, nothing is nested but lists of texts, and all is bounded. Patterns
are matched by RE2, in time linear to the text, since they come from strangers.

Importing this takes 3 MB and 40 ms of processor time, so it is imported where there are settings.

Runs on: any thread; pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
import re2
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.validators import extend

from toru.domain.plugin_metadata import BrokenPlugin, shown

Schema = Mapping[str, Any]

MAX_SCHEMA_BYTES = 64 * 1024
MAX_SETTINGS = 100
MAX_CHOICES = 200
MAX_ENTRIES = 1000
"""The most that a list may have, whatever its schema says."""
MAX_PATTERN_CHARS = 1000
FORMATS = ("password", "uri", "email", "path", "multiline")

_MAX_DEPTH = 16
"""More than forms need; but there may be anything in notes."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_ANNOTATIONS = {"$comment", "examples", "deprecated"}
_OF_ALL = {"type", "title", "description", "default", "enum"}
_TEXT = {"minLength", "maxLength", "pattern", "format"}
_NUMBER = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
_BY_TYPE: dict[str, set[str]] = {
    "string": _OF_ALL | _TEXT | {"writeOnly"},
    "number": _OF_ALL | _NUMBER,
    "integer": _OF_ALL | _NUMBER,
    "boolean": _OF_ALL,
    "array": (_OF_ALL - {"enum"}) | {"items", "minItems", "maxItems", "uniqueItems"},
}
_OF_ITEMS = {"type", "title", "description", "enum"} | _TEXT
_OF_WHOLE = {"$schema", "type", "title", "description", "properties", "required"}
_OF_WHOLE |= {"additionalProperties"}


def is_secret(setting: Schema) -> bool:
    """Return whether a setting's value leaves the hub to its plugin only."""
    return setting.get("writeOnly") is True or setting.get("format") == "password"


def check_schema(schema: Schema) -> None:
    """Refuse a schema that is none, or from which no form can be drawn.

    Raises:
        BrokenPlugin: the sentence names the setting and what is wrong with it.
    """
    if not _is_flat(schema):
        raise _wrong("they are nested too deeply")
    if len(msgspec.json.encode(schema)) > MAX_SCHEMA_BYTES:
        raise _wrong(f"they are larger than {MAX_SCHEMA_BYTES // 1024} KiB")
    _check_keywords(schema, _OF_WHOLE, "the schema")
    if schema.get("type") != "object":
        raise _wrong('the schema must have "type": "object"')
    settings = schema.get("properties")
    if not isinstance(settings, dict) or not settings:
        raise _wrong('the schema must have "properties", an object that names each setting')
    if len(settings) > MAX_SETTINGS:
        raise _wrong(f"there are more than {MAX_SETTINGS}")
    for name, setting in settings.items():
        _check_setting(name, setting)
    error = best_match(Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema))
    if error is not None:
        where = "/".join(map(str, error.absolute_path))
        raise _wrong(f"no valid JSON Schema at {shown(where, 90)}: {shown(error.message, 120)}")
    for name in schema.get("required", ()):
        if name not in settings:
            raise _wrong(f'"required" names "{shown(name)}", which is no setting')
    for name, setting in settings.items():
        _check_content(name, setting)


def _is_flat(schema: object) -> bool:
    """Return whether nothing is nested so deeply that whoever walks through it could fail."""
    level = [schema]
    for _ in range(_MAX_DEPTH):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return not level


def _check_setting(name: str, setting: object) -> None:
    what = f'the setting "{shown(name)}"'
    if not _NAME.fullmatch(name):
        raise _wrong(f"{what} needs a name of at most 64 letters, digits and _ . -")
    if not isinstance(setting, dict):
        raise _wrong(f"{what} must be an object")
    kind = setting.get("type")
    if not isinstance(kind, str) or kind not in _BY_TYPE:
        raise _wrong(f'{what} needs a "type", one of {", ".join(_BY_TYPE)}')
    _check_keywords(setting, _BY_TYPE[kind], what)
    if kind == "array":
        items = setting.get("items")
        if not isinstance(items, dict) or items.get("type") != "string":
            raise _wrong(f'{what} must be a list of texts: "items": {{"type": "string"}}')
        _check_keywords(items, _OF_ITEMS, f"each entry of {what}")
        _check_text(items, f"each entry of {what}")
    _check_text(setting, what)


def _check_text(setting: Schema, what: str) -> None:
    if "format" in setting and setting["format"] not in FORMATS:
        raise _wrong(f'{what} has a "format" that is none of {", ".join(FORMATS)}')
    choices = setting.get("enum")
    if isinstance(choices, list) and not 1 <= len(choices) <= MAX_CHOICES:
        raise _wrong(f'{what} must have 1 to {MAX_CHOICES} choices in "enum"')
    pattern = setting.get("pattern")
    if not isinstance(pattern, str):
        return
    if len(pattern) > MAX_PATTERN_CHARS:
        raise _wrong(f'{what} has a "pattern" of more than {MAX_PATTERN_CHARS} characters')
    try:
        _compiled(pattern)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        said = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise _wrong(
            f'{what} has a "pattern" that RE2 does not take (look-around and references to groups '
            f"are left out, since they may take for ever): {shown(said, 120)}"
        ) from None


def _check_content(name: str, setting: Schema) -> None:
    what = f'the setting "{name}"'
    if is_secret(setting) and "default" in setting:
        raise _wrong(f'{what} is a secret, so it must not have a "default"')
    rules = validator({key: value for key, value in setting.items() if key != "enum"})
    for choice in setting.get("enum", ()):
        if not rules.is_valid(choice):
            raise _wrong(f'{what} has a choice in "enum" that its other rules do not allow')
    if "default" in setting:
        found = fault(validator(setting), setting["default"])
        if found is not None:
            raise _wrong(
                f'{what} has a "default" that is not allowed: {found[:1].lower()}{found[1:]}'
            )


def _check_keywords(schema: Schema, known: set[str], what: str) -> None:
    for keyword in schema:
        if keyword in known or keyword in _ANNOTATIONS or keyword.startswith("x-"):
            continue
        raise _wrong(f'{what} has "{shown(keyword)}", of which no form can be drawn')


def _wrong(reason: str) -> BrokenPlugin:
    return BrokenPlugin(f"The settings in its metadata are wrong: {reason.rstrip('.')}.")


# Values


def validator(setting: Schema) -> Draft202012Validator:
    """Return what checks the values of a setting whose schema is sound."""
    kept = {key: value for key, value in setting.items() if key not in ("default", "examples")}
    return _Validator(kept, format_checker=_FORMAT_CHECKER)


def fault(rules: Draft202012Validator, value: object) -> str | None:
    """Return why a value is not allowed, as a sentence that does not have it; None when it is."""
    if isinstance(value, list) and len(value) > MAX_ENTRIES:
        return f"This may have at most {MAX_ENTRIES} entries."
    error = best_match(rules.iter_errors(_flat(value)))
    if error is None:
        return None
    sentence = _sentence(error)
    if error.absolute_path:
        return f"Entry {int(error.absolute_path[0]) + 1}: {uncapitalised(sentence)}"
    return sentence


def _flat(value: object) -> object:
    """Return a value, or one that no setting allows in the place of one that is nested."""
    entries = value if isinstance(value, list) else [value]
    return {} if any(isinstance(entry, dict | list) for entry in entries) else value


def uncapitalised(sentence: str) -> str:
    """Return a sentence as it follows a colon."""
    return sentence[:1].lower() + sentence[1:]


def _sentence(error: ValidationError) -> str:
    limit = error.validator_value
    match error.validator:
        case "type":
            return f"This must be {_TYPE_WORDS.get(str(limit), 'another kind of value')}."
        case "enum":
            choices = shown(", ".join(map(str, limit)), 200)
            return f"This must be one of: {choices}."
        case "minLength":
            return f"This needs at least {_count(limit, 'character')}."
        case "maxLength":
            return f"This may have at most {_count(limit, 'character')}."
        case "minItems":
            return f"This needs at least {_count(limit, 'entry', 'entries')}."
        case "maxItems":
            return f"This may have at most {_count(limit, 'entry', 'entries')}."
        case "uniqueItems":
            return "This has an entry twice."
        case "minimum":
            return f"This must be at least {limit}."
        case "maximum":
            return f"This must be at most {limit}."
        case "exclusiveMinimum":
            return f"This must be more than {limit}."
        case "exclusiveMaximum":
            return f"This must be less than {limit}."
        case "multipleOf":
            return f"This must be a multiple of {limit}."
        case "format":
            return _FORMAT_WORDS[str(limit)]
        case "pattern":
            return f"This does not have the form that is asked for ({shown(str(limit), 100)})."
        case _:
            return "This is not allowed."


def _count(number: int, word: str, words: str = "") -> str:
    return f"{number} {word}" if number == 1 else f"{number} {words or word + 's'}"


_TYPE_WORDS = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "on or off",
    "array": "a list of texts",
}
_FORMAT_WORDS = {
    "uri": "This must be an address such as https://example.org/.",
    "email": "This must be an e-mail address.",
    "path": "This must be a whole path, which begins with a slash.",
}


def _is_uri(value: object) -> bool:
    if not isinstance(value, str):
        return True
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    has_rest = bool(parts.netloc or parts.path.strip("/"))
    return bool(parts.scheme) and has_rest and value.isprintable() and " " not in value


def _is_email(value: object) -> bool:
    if not isinstance(value, str):
        return True
    name, _, host = value.rpartition("@")
    return bool(name and host) and value.isprintable() and " " not in value


def _is_path(value: object) -> bool:
    return not isinstance(value, str) or (value.startswith("/") and "\0" not in value)


_FORMAT_CHECKER = FormatChecker(formats=())
for _name, _check in (("uri", _is_uri), ("email", _is_email), ("path", _is_path)):
    _FORMAT_CHECKER.checks(_name)(_check)


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    return re2.compile(pattern, options)


def _pattern(
    _rules: Any, pattern: str, value: object, _schema: Schema
) -> Iterator[ValidationError]:
    """The keyword ``pattern``, by RE2."""
    if isinstance(value, str) and not _compiled(pattern).search(value):
        yield ValidationError("It does not match.")


_Validator = extend(Draft202012Validator, {"pattern": _pattern})
