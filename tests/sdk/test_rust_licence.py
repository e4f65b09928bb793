"""Licences as plugins in Rust verify them: as those in Python do."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from toru_plugin import PluginError
from toru_plugin.license import LicenseError, verify

from tests.sdk import rust
from tests.sdk.core import CoreV2, running
from tests.sdk.test_license import (
    GUIDE,
    INSTANCE,
    NOON,
    ORDER,
    PUBLIC_KEY,
    SMALL,
    issued,
    text_of,
)

LAST_SECOND = datetime(2027, 1, 31, 23, 59, 59, tzinfo=UTC)


@pytest.fixture(scope="module")
def core(rust_plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CoreV2]:
    command = [str(rust_plugins / "rust_sample.binary")]
    path = tmp_path_factory.mktemp("licences") / "s"
    with running(command, path) as plugin, CoreV2(plugin) as found:
        yield found.ready()


def said_in_rust(core: CoreV2, text: str, key: str, instance: str, now: datetime) -> list[Any]:
    asked = {"text": text, "key": key, "instance": instance, "plugin": "demo"}
    body = json.dumps({**asked, "now": int(now.timestamp())})
    answer = core.http("POST", "/licence", body="inline", text=body)
    said: list[Any] = json.loads(answer["text"])
    return said


def said_in_python(text: str, key: str, instance: str, now: datetime) -> list[Any]:
    try:
        found = verify(text, key, instance, "demo", now)
    except LicenseError as error:
        return [error.code, error.sentence]
    except PluginError as error:
        return ["public_key" if "public key" in str(error) else "not_started", str(error)]
    expires = found.expires.isoformat() if isinstance(found.expires, date) else None
    return [found.instance, found.plugin, expires, found.to]


def changed_signatures() -> list[str]:
    """Return licences whose signature is another spelling, of small order, or changed."""
    prefix, payload, signature = issued().split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    scalar = int.from_bytes(raw[32:], "little")
    signatures = [raw[:32] + (scalar + more).to_bytes(32, "little") for more in (ORDER, 2 * ORDER)]
    signatures += [point + raw[32:] for point in SMALL] + [point + bytes(32) for point in SMALL]
    signatures += [raw[:at] + bytes([raw[at] ^ 4]) + raw[at + 1 :] for at in range(0, 64, 7)]
    signatures += [raw[:-1], raw + b"\0"]
    return [f"{prefix}.{payload}.{text_of(one)}" for one in signatures]


def licences() -> list[str]:
    whole = issued()
    texts = [whole, issued(expires=None), issued(later="a field")]
    texts += [issued(instance=INSTANCE.upper())]
    texts += ["\n " + re.sub("(.{40})", r"\1 \r\n", whole) + "\n", "", "TORU1", "TORU1.."]
    texts += [whole[:-1], whole[1:], whole + ".x", whole.replace("1.", "2."), whole + "="]
    texts += [whole.replace(".", ".é", 1), whole.replace("TORU1", "toru1"), "x" * 9000]
    texts += [issued(payload) for payload in (b"", b"[]", b"{}", b"\xff", b"1", b"[" * 5000)]
    changes: list[dict[str, Any]] = [{"expires": day} for day in ("2027-1-1", "20270101", 5, "")]
    changes += [{"expires": "2027-02-30"}, {"expires": "2028-02-29"}, {"expires": "0000-01-01"}]
    changes += [{"to": 5}, {"to": None}, {"plugin": None}, {"instance": []}, {"plugin": "other"}]
    changes += [{"instance": "00000000-5b0a-4c1d-9a61-1f6f0a6f2f11"}]
    texts += [issued(**change) for change in changes]
    texts += [issued(key=Ed25519PrivateKey.from_private_bytes(bytes(32)))]
    return texts + changed_signatures()


def test_rust_says_of_every_licence_what_python_says(core: CoreV2) -> None:
    said = {}
    for text in licences():
        expected = said_in_python(text, PUBLIC_KEY, INSTANCE, NOON)
        assert said_in_rust(core, text, PUBLIC_KEY, INSTANCE, NOON) == expected, text
        said[expected[0]] = expected
    codes = {"damaged", "wrong_key", "other_plugin", "other_instance"}
    assert said.keys() == codes | {INSTANCE, INSTANCE.upper()}


def test_rust_counts_days_and_judges_keys_as_python_does(core: CoreV2) -> None:
    moments = [LAST_SECOND, datetime(2027, 2, 1, tzinfo=UTC), datetime(2031, 7, 1, tzinfo=UTC)]
    said = [said_in_rust(core, issued(), PUBLIC_KEY, INSTANCE, now) for now in moments]
    assert said == [said_in_python(issued(), PUBLIC_KEY, INSTANCE, now) for now in moments]
    assert [one[0] for one in said] == [INSTANCE, "expired", "expired"]
    keys = ["", "short", PUBLIC_KEY + "A", "é" * 43, f" {PUBLIC_KEY}\n", *map(text_of, SMALL)]
    for key in keys:
        expected = said_in_python(issued(), key, INSTANCE, NOON)
        assert said_in_rust(core, issued(), key, INSTANCE, NOON) == expected
    assert said_in_rust(core, issued(), PUBLIC_KEY, "", NOON)[0] == "not_started"


def test_the_example_of_the_guide_runs_with_a_licence_and_not_without(tmp_path: Path) -> None:
    rust.require_rust()
    page = GUIDE.read_text()
    [manifest] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    [program] = re.findall(r"```rust\n(.*?)```", page, re.DOTALL)
    source = program.replace("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", PUBLIC_KEY)
    assert source != program
    built = str(rust.build_source("disk-guard", manifest, source, tmp_path))
    told: dict[str, Any] = {"data_dir": str(tmp_path), "instance_id": INSTANCE}
    with running([built], tmp_path / "s") as plugin, CoreV2(plugin, **told) as core:
        core.until("error", id=0)
        code, said = plugin.ended()
        assert (code, "no whole licence" in said) == (78, True)
    (tmp_path / "license.txt").write_text(issued(plugin="disk-guard", expires=None))
    with running([built], tmp_path / "s2") as plugin, CoreV2(plugin, **told) as core:
        core.ready()
        assert json.loads(core.http("GET", "/status")["text"]) == {"disks": "well"}
        (tmp_path / "license.txt").write_text(issued(plugin="other"))
        refused = core.http("GET", "/status")
        assert (refused["status"], json.loads(refused["text"])["code"]) == (402, "other_plugin")
