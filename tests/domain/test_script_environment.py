"""What a script's environment has, and above all what it has not.

Runs on: pytest's main thread.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.domain.script_environment import clean_environment, environment_for
from toru.domain.script_header import Parameter
from toru.errors import BadRequest

LEVEL = Parameter("level", "info")
TARGET = Parameter("Target")


def test_only_what_is_allowed_passes_and_no_secret_of_the_hub() -> None:
    environ = {
        "PATH": "/bin",
        "HOME": "/home/me",
        "LANG": "C.UTF-8",
        "LC_TIME": "de_DE.UTF-8",
        "TZ": "Europe/Berlin",
        "TERM": "dumb",
        "ADMIN_PASSWORD": "secret",
        "ADMIN_USERNAME": "admin",
        "DATABASE_URL": "postgresql://u:p@h/d",
        "TORU_DATA_DIR": "/var",
        "STEERING_PORT": "1",
        "SCRIPTS_DIR": "/s",
        "LD_PRELOAD": "/x.so",
        "PYTHONPATH": "/p",
        "BASH_ENV": "/e",
        "AWS_SECRET_ACCESS_KEY": "k",
    }
    assert clean_environment(environ) == {
        "PATH": "/bin",
        "HOME": "/home/me",
        "LANG": "C.UTF-8",
        "LC_TIME": "de_DE.UTF-8",
        "TZ": "Europe/Berlin",
        "TERM": "xterm-256color",
    }


def test_there_is_a_path_even_when_the_hub_has_none() -> None:
    assert "/usr/bin" in clean_environment({})["PATH"].split(":")


def test_a_value_that_no_json_can_carry_is_left_out() -> None:
    assert "HOME" not in clean_environment({"HOME": "/home/\udcff"})


def test_arguments_become_variables_in_upper_case_and_defaults_stand_in() -> None:
    assert environment_for([LEVEL, TARGET], {}) == {"PARAM_LEVEL": "info"}
    assert environment_for([LEVEL, TARGET], {"Target": "$(reboot); `x`\n"}) == {
        "PARAM_LEVEL": "info",
        "PARAM_TARGET": "$(reboot); `x`\n",
    }
    assert environment_for([LEVEL], {"level": ""}) == {"PARAM_LEVEL": ""}


@pytest.mark.parametrize("name", ["LEVEL", "PATH", "", "level ", "x" * 5000, "\udcff"])
def test_an_argument_that_is_not_declared_is_refused(name: str) -> None:
    with pytest.raises(BadRequest, match="declares no parameter") as refusal:
        environment_for([LEVEL], {name: "x"})
    assert len(refusal.value.sentence) < 200
    refusal.value.sentence.encode()


@pytest.mark.parametrize("value", ["a\0b", "x" * 8193, "ä" * 4097, "\ud800"])
def test_a_value_that_no_environment_takes_is_refused(value: str) -> None:
    with pytest.raises(BadRequest, match="argument level"):
        environment_for([LEVEL], {"level": value})


def test_a_value_of_eight_kibibytes_is_taken() -> None:
    assert environment_for([LEVEL], {"level": "x" * 8192})["PARAM_LEVEL"] == "x" * 8192


@given(st.dictionaries(st.text(), st.text()))
def test_nothing_but_allowed_names_ever_passes(environ: dict[str, str]) -> None:
    passed = clean_environment({**environ, "ADMIN_PASSWORD": "secret"})
    assert "secret" not in passed.values() or "secret" in environ.values()
    assert all(name in {"PATH", "TERM"} or name in environ for name in passed)
