"""The environment of scripts: a clean base without the hub's secrets, and a run's arguments.

Runs on: any thread; pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from toru.domain.script_header import Parameter
from toru.errors import BadRequest

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ARGUMENT_PREFIX = "PARAM_"
MAX_ARGUMENT_BYTES = 8192

_PASSED_ON = frozenset({"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "USER", "LOGNAME", "SHELL"})


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what of the hub's environment a script gets: an allow-list, never the rest.

    ``TERM`` is that of the dashboard's terminal, so that programs use its colours.
    """
    passed = {
        name: value
        for name, value in environ.items()
        if (name in _PASSED_ON or name.startswith("LC_")) and _is_unicode(value)
    }
    return {"PATH": DEFAULT_PATH, **passed, "TERM": "xterm-256color"}


def environment_for(parameters: Iterable[Parameter], args: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that carry a run's arguments: ``PARAM_<NAME>`` in upper case.

    An argument never becomes part of a command line, so no shell reads it as code. A declared
    default stands in for an argument that is not given; without one the variable is not set.

    Raises:
        BadRequest: an argument is not declared, too long or no text.
    """
    declared = {parameter.name: parameter for parameter in parameters}
    for name, value in args.items():
        if name not in declared:
            raise BadRequest(
                f"The script declares no parameter {_quoted(name)}.", code="unknown_parameter"
            )
        _check_value(name, value)
    variables = {}
    for name, parameter in declared.items():
        value_or_none = args.get(name, parameter.default)
        if value_or_none is not None:
            variables[ARGUMENT_PREFIX + name.upper()] = value_or_none
    return variables


def _check_value(name: str, value: str) -> None:
    if "\0" in value:
        raise BadRequest(f"The argument {name} must not contain NUL characters.")
    if not _is_unicode(value):
        raise BadRequest(f"The argument {name} is not valid Unicode.")
    if len(value.encode()) > MAX_ARGUMENT_BYTES:
        raise BadRequest(f"The argument {name} must be at most {MAX_ARGUMENT_BYTES} bytes long.")


def _is_unicode(text: str) -> bool:
    """Return whether a text has no lone surrogates, which neither UTF-8 nor JSON can carry."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _quoted(name: str) -> str:
    shown = name if len(name) <= 64 else name[:63] + "…"
    return ascii(shown)
