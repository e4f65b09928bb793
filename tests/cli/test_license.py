"""``toru license``: keys that only their owner may read, licences, and whether they hold."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toru_plugin import license as plugin_license

from toru.cli import license_keys
from toru.cli.main import main
from toru.domain import license as licenses

GUIDE = Path(__file__).parents[2] / "docs/licences.md"
INSTANCE = "7d4f1c1e-5b0a-4c1d-9a61-1f6f0a6f2f11"
IDS = ["-p", "disk-guard", "-i", INSTANCE]


class Answer(NamedTuple):
    code: int
    out: str
    err: str


Call = Callable[..., Answer]


@pytest.fixture
def toru(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Calls ``toru license`` in this process, in the test's folder."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str, given: str = "") -> Answer:
        monkeypatch.setattr(sys, "argv", ["toru", "license", *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        return Answer(main(), *capsys.readouterr())

    return call


def test_a_key_is_made_a_licence_issued_and_verified(toru: Call, tmp_path: Path) -> None:
    made = toru("keygen", "-o", "guard.key")
    public_key = made.out.strip()
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", public_key)
    assert "guard.key" in made.err
    key = tmp_path / "guard.key"
    assert key.stat().st_mode & 0o7777 == 0o600
    before = key.read_bytes()
    again = toru("keygen", "-o", "guard.key")
    assert (again.code, again.out, key.read_bytes()) == (2, "", before)
    assert "already" in again.err

    last = str(datetime.now(UTC).date() + timedelta(days=1))
    issued = toru("issue", "-k", "guard.key", *IDS, "-e", last, "--to", "Änna Ltd")
    text = issued.out
    assert (issued.code, issued.err, text.count("\n")) == (0, "", 1)
    assert text.startswith("TORU1.")
    found = plugin_license.verify(text, public_key, INSTANCE, "disk-guard")
    assert (found.to, str(found.expires)) == ("Änna Ltd", last)

    (tmp_path / "license.txt").write_text(text)
    checked = toru("verify", "license.txt", "-k", public_key, *IDS)
    assert (checked.code, checked.out) == (
        0,
        f"The licence of Änna Ltd holds until {last}.\n",
    )
    piped = toru("verify", "-", "-k", public_key, *IDS, given=text)
    other = toru("verify", text, "-k", public_key, "-p", "other", "-i", INSTANCE)
    assert (piped.code, other.code) == (0, 1)
    assert other.err == "toru: This licence is for the plugin disk-guard, not for other.\n"
    forced = toru("keygen", "-o", "guard.key", "--force")
    assert key.stat().st_mode & 0o7777 == 0o600
    foreign = toru("verify", text, "-k", forced.out.strip(), *IDS)
    assert (foreign.code, "not signed with this key" in foreign.err) == (1, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["guard.key", "license.txt"]


def test_a_wrong_call_is_told_from_a_licence_that_does_not_hold(toru: Call, tmp_path: Path) -> None:
    key = tmp_path / "a.key"
    public_key = license_keys.make(key, replace=False)
    (tmp_path / "no.key").write_text("nothing")
    year = str(datetime.now(UTC).year + 1)
    wrong = {
        "no date": ["issue", "-k", "a.key", *IDS, "-e", "soon"],
        "is over": ["issue", "-k", "a.key", *IDS, "-e", "2020-01-01"],
        "no private key": ["issue", "-k", "no.key", *IDS, "-e", "never"],
        "No such file": ["issue", "-k", "none.key", *IDS, "-e", f"{year}-01-31"],
        "no public key": ["verify", "-k", "x", *IDS, "TORU1.e30." + "A" * 86],
        "cannot be read": ["verify", "-k", public_key, *IDS, "none.txt"],
    }
    wrong["no whole licence"] = ["verify", "-k", public_key, *IDS, "no.key"]
    for reason, words in wrong.items():
        answer = toru(*words)
        code = 1 if reason == "no whole licence" else 2
        assert (answer.code, answer.out) == (code, ""), words
        assert reason in " ".join(answer.err.split()), answer.err


def test_a_public_key_may_begin_with_a_dash(toru: Call) -> None:
    answer = toru("verify", "-k", "-" + "A" * 42, *IDS, "TORU1.e30." + "A" * 86)
    assert (answer.code, "not signed with this key" in answer.err) == (1, True), answer.err


@pytest.mark.parametrize("plugin", ["", "a b", "x" * 65])
def test_a_licence_that_could_never_hold_is_not_written(plugin: str) -> None:
    for wanted in (
        licenses.License(INSTANCE, plugin, None),
        licenses.License("not-a-uuid", "demo", None),
        licenses.License(INSTANCE, "demo", None, "x" * 600),
    ):
        with pytest.raises(licenses.BadRequest):
            licenses.write(wanted, lambda _: bytes(64))


@settings(max_examples=40, deadline=None)
@given(
    place=st.integers(0, 300),
    with_character=st.sampled_from("Aa0_-.=é \n"),
    days=st.integers(-400, 400),
    plugin=st.sampled_from(["disk-guard", "other"]),
)
def test_the_command_and_the_library_for_plugins_decide_alike(
    tmp_path_factory: pytest.TempPathFactory,
    place: int,
    with_character: str,
    days: int,
    plugin: str,
) -> None:
    key = KEYS.setdefault("key", tmp_path_factory.mktemp("key") / "a.key")
    if not key.exists():
        license_keys.make(key, replace=False)
    public_key, today = license_keys.public_of(key), date(2026, 11, 22)
    wanted = licenses.License(INSTANCE, "disk-guard", today + timedelta(days=days), "Anna")
    text = licenses.write(wanted, license_keys.load(key).sign)
    changed = text[:place] + with_character + text[place + 1 :]
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert by_command(changed, public_key, plugin, today) == by_library(
        changed, public_key, plugin, now
    )


KEYS: dict[str, Path] = {}


def by_command(text: str, public_key: str, plugin: str, today: date) -> str:
    try:
        found = licenses.read(text, lambda *both: license_keys.is_signed(public_key, *both))
        licenses.judge(found, instance=INSTANCE, plugin=plugin, today=today)
    except licenses.LicenseRefused as refused:
        return refused.code
    return f"{found.plugin} {found.expires} {found.to}"


def by_library(text: str, public_key: str, plugin: str, now: datetime) -> str:
    try:
        found = plugin_license.verify(text, public_key, INSTANCE, plugin, now)
    except plugin_license.LicenseError as refused:
        return refused.code
    return f"{found.plugin} {found.expires} {found.to}"


def test_the_commands_of_the_guide_work_as_they_stand(tmp_path: Path) -> None:
    commands = [
        block.strip() for block in re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    ]
    assert len(commands) == 3
    (tmp_path / "toru").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m toru "$@"\n')
    (tmp_path / "toru").chmod(0o755)
    script = f"set -e; PUBLIC_KEY=$({commands[0]}); " + "; ".join(commands[1:])
    answer = subprocess.run(
        ["sh", "-c", script],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stdout == "The licence of Example Ltd holds until 2099-12-31.\n", answer.stderr


def test_the_hub_does_not_load_the_library_for_signatures() -> None:
    code = "import sys, toru.cli.main, toru.app; print('cryptography' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
