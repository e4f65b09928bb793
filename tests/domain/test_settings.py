"""The table of settings: every default is valid, and every rule has a sentence.

Runs on: pytest's main thread.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.domain.settings import check_change, settings_table, typed, values_in_force
from toru.errors import BadRequest, NotFound, ToruError

TABLE = settings_table("/srv/scripts")


def test_the_defaults_are_in_force_without_any_change() -> None:
    values, complaints = values_in_force(TABLE, {})
    assert complaints == []
    settings = typed(TABLE, values)
    assert settings.scripts_dir == "/srv/scripts"
    assert settings.max_concurrent_tasks == 16
    assert settings.max_queued_tasks == 10_000
    assert settings.max_output_bytes == 67_108_864
    assert settings.history_retention_days == 90
    assert settings.run_time_limit_s == 0
    assert settings.leftover_policy == "end"
    assert settings.cancel_grace_s == 5


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_concurrent_tasks", "1"),
        ("max_concurrent_tasks", " 1000 "),
        ("max_output_bytes", "1048576"),
        ("max_output_bytes", str(1024**4)),
        ("cancel_grace_s", "0"),
        ("cancel_grace_s", "0.25"),
        ("leftover_policy", "leave"),
        ("history_max_runs", "0"),
    ],
)
def test_a_value_within_the_rules_is_taken_without_its_spaces(key: str, value: str) -> None:
    assert check_change(TABLE, key, value) == value.strip()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_concurrent_tasks", "0"),
        ("max_concurrent_tasks", "1001"),
        ("max_concurrent_tasks", "-1"),
        ("max_concurrent_tasks", "1e2"),
        ("max_concurrent_tasks", "1_0"),
        ("max_concurrent_tasks", "١٦"),
        ("max_concurrent_tasks", ""),
        ("max_concurrent_tasks", "9" * 5000),
        ("max_output_bytes", "1048575"),
        ("max_output_bytes", str(1024**4 + 1)),
        ("cancel_grace_s", "nan"),
        ("cancel_grace_s", "inf"),
        ("cancel_grace_s", "-0"),
        ("cancel_grace_s", "3600.5"),
        ("run_time_limit_s", "soon"),
        ("leftover_policy", "END"),
        ("scripts_dir", ""),
        ("scripts_dir", "/a\0b"),
        ("scripts_dir", "/" + "a" * 5000),
        ("scripts_dir", "~no-such-user-of-toru/x"),
        ("instance_id", "1f0e3dad-9908-4d4e-8b1f-000000000000"),
    ],
)
def test_a_value_against_the_rules_is_refused_with_a_sentence(key: str, value: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        check_change(TABLE, key, value)
    assert key in refusal.value.sentence
    assert refusal.value.sentence.endswith(".")


def test_an_unknown_key_is_not_found() -> None:
    with pytest.raises(NotFound):
        check_change(TABLE, "no_such", "1")


def test_a_stored_value_that_is_not_usable_gives_way_to_the_default() -> None:
    stored = {"max_concurrent_tasks": "many", "cancel_grace_s": "1", "of_a_newer_version": "x"}
    values, complaints = values_in_force(TABLE, stored)
    assert values["max_concurrent_tasks"] == "16"
    assert values["cancel_grace_s"] == "1"
    assert "of_a_newer_version" not in values
    assert len(complaints) == 1
    assert "max_concurrent_tasks" in complaints[0]


@given(st.sampled_from(sorted(TABLE)), st.text())
def test_every_change_that_is_taken_can_be_typed(key: str, value: str) -> None:
    try:
        text = check_change(TABLE, key, value)
    except ToruError:
        return
    values, complaints = values_in_force(TABLE, {key: text})
    assert complaints == []
    typed(TABLE, values)
