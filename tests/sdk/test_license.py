"""Licences as plugins verify them: the signatures, every refusal, and the example of the guide."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from toru_plugin import PluginError, ed25519
from toru_plugin.license import License, LicenseError, verify

from tests.sdk.core import CoreV2, python_plugin, running

GUIDE = Path(__file__).parents[2] / "docs/licences.md"
[EXAMPLE] = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
ORDER = 2**252 + 27742317777372353535851937790883648493
PRIME = 2**255 - 19
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
INSTANCE = "7d4f1c1e-5b0a-4c1d-9a61-1f6f0a6f2f11"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

# RFC 8032, 7.1: private key, public key, message, signature.
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e3970"
        "1cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613"
        "d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760"
        "984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23"
        "a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c6"
        "6431e0303dca179c138ac17ad9bef1177331a704",
    ),
]
# The points whose order divides eight, and spellings of them that are not the canonical ones.
SMALL = [
    number.to_bytes(32, "little")
    for y in (0, 1, PRIME - 1, PRIME, PRIME + 1)
    for number in (y, y | 1 << 255)
] + [
    bytes.fromhex(point)
    for point in (
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    )
]


def public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def text_of(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


PUBLIC_KEY = text_of(public(KEY))


def issued(payload: Any = None, key: Ed25519PrivateKey = KEY, **changes: Any) -> str:
    """Return a licence of the plugin ``demo``, with changes or with another payload."""
    said = {"instance": INSTANCE, "plugin": "demo", "expires": "2027-01-31", "to": "Änna"}
    payload = json.dumps(said | changes).encode() if payload is None else payload
    signed = f"TORU1.{text_of(payload)}"
    return f"{signed}.{text_of(key.sign(signed.encode()))}"


def verified(text: str, now: datetime | None = NOON) -> License:
    return verify(text, PUBLIC_KEY, INSTANCE, "demo", now)


def refusal(text: str, now: datetime = NOON) -> tuple[str, str]:
    with pytest.raises(LicenseError) as caught:
        verified(text, now)
    assert caught.value.sentence.endswith(".")
    return caught.value.code, caught.value.sentence


# Signatures


@pytest.mark.parametrize("vector", VECTORS)
def test_the_vectors_of_the_rfc_are_verified_and_every_changed_one_refused(
    vector: tuple[str, str, str, str],
) -> None:
    secret, key, message, signature = (bytes.fromhex(part) for part in vector)
    assert public(Ed25519PrivateKey.from_private_bytes(secret)) == key
    assert ed25519.verify(key, message, signature)
    assert not ed25519.verify(key, message + b"x", signature)
    for index in range(0, 64, 5):
        changed = bytearray(signature)
        changed[index] ^= 1
        assert not ed25519.verify(key, message, bytes(changed))


def test_a_second_spelling_of_a_signature_is_refused() -> None:
    signature = KEY.sign(b"message")
    scalar = int.from_bytes(signature[32:], "little")
    for more in (ORDER, 2 * ORDER, 8 * ORDER):
        other = signature[:32] + (scalar + more).to_bytes(32, "little")
        assert not ed25519.verify(public(KEY), b"message", other)
    assert not ed25519.verify(public(KEY), b"message", signature + b"\0")
    assert not ed25519.verify(public(KEY), b"message", signature[:-1])
    assert not ed25519.verify(public(KEY)[:-1], b"message", signature)


@pytest.mark.parametrize("point", SMALL)
def test_points_of_small_order_are_neither_keys_nor_parts_of_signatures(point: bytes) -> None:
    assert not ed25519.is_public_key(point)
    for commitment in SMALL:
        assert not ed25519.verify(point, b"anything", commitment + bytes(32))
    assert not ed25519.verify(public(KEY), b"anything", point + bytes(32))


@settings(max_examples=60, deadline=None)
@given(
    secret=st.binary(min_size=32, max_size=32),
    message=st.binary(max_size=200),
    place=st.integers(0, 95),
    change=st.integers(0, 255),
)
def test_it_agrees_with_the_library_on_whole_and_changed_signatures(
    secret: bytes, message: bytes, place: int, change: int
) -> None:
    key = Ed25519PrivateKey.from_private_bytes(secret)
    both = bytearray(public(key) + key.sign(message))
    both[place] ^= change
    changed_key, signature = bytes(both[:32]), bytes(both[32:])
    assert ed25519.verify(changed_key, message, signature) == by_the_library(
        changed_key, message, signature
    )


def by_the_library(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


# Licences


def test_a_licence_that_holds_says_whose_it_is_and_until_when() -> None:
    assert verified(issued()) == (INSTANCE, "demo", date(2027, 1, 31), "Änna")
    assert verified(issued(expires=None), now=None).expires is None
    assert verified(issued(later="a field of later times")).to == "Änna"
    assert verified(issued(instance=INSTANCE.upper())).plugin == "demo"
    wrapped = re.sub("(.{40})", r"\1 \r\n", issued())
    assert verified(f"\n {wrapped}\n").to == "Änna"


def test_it_holds_to_the_end_of_its_last_day_in_utc() -> None:
    last = datetime(2027, 1, 31, 23, 59, 59, tzinfo=UTC)
    assert verified(issued(), last).plugin == "demo"
    assert verified(issued(), last.astimezone()).plugin == "demo"
    code, sentence = refusal(issued(), last + timedelta(seconds=1))
    assert (code, sentence) == ("expired", "This licence expired on 2027-01-31.")


def test_each_refusal_says_why() -> None:
    code, sentence = refusal(issued(plugin="other"))
    assert (code, "plugin other, not for demo" in sentence) == ("other_plugin", True)
    other = "00000000-5b0a-4c1d-9a61-1f6f0a6f2f11"
    code, sentence = refusal(issued(instance=other))
    assert (code, other in sentence, INSTANCE in sentence) == ("other_instance", True, True)
    foreign = issued(key=Ed25519PrivateKey.generate())
    assert refusal(foreign)[0] == "wrong_key"
    prefix, payload, signature = issued().split(".")
    changed = base64.urlsafe_b64decode(payload + "==").replace(b"2027", b"2099")
    assert refusal(f"{prefix}.{text_of(changed)}.{signature}")[0] == "wrong_key"


def test_whatever_is_no_whole_licence_is_damaged() -> None:
    whole = issued()
    texts = ["", "TORU1", "TORU1..", whole[:-1], whole[1:], whole + ".x", whole.replace("1.", "2.")]
    texts += [whole + "=", whole.replace(".", ".é", 1), whole.replace("TORU1", "toru1"), "x" * 9000]
    payloads = [b"", b"[]", b"{}", b"\xff", b"1", b"[" * 5000]
    texts += [issued(payload) for payload in payloads]
    changes: list[dict[str, Any]] = [{"expires": day} for day in ("2027-1-1", "20270101", 5, "")]
    changes += [{"expires": "2027-02-30"}, {"to": 5}, {"plugin": None}, {"instance": []}]
    texts += [issued(**change) for change in changes]
    for text in texts:
        assert refusal(text)[0] == "damaged", text


def test_what_the_author_does_wrong_is_no_refusal_of_the_licence() -> None:
    for key in ("", "short", PUBLIC_KEY + "A", text_of(SMALL[0]), "é" * 43):
        with pytest.raises(PluginError, match="public key"):
            verify(issued(), key, INSTANCE, "demo")
    with pytest.raises(PluginError, match="on_start"):
        verify(issued(), PUBLIC_KEY, None, "demo")


def test_the_example_of_the_guide_runs_with_a_licence_and_not_without(tmp_path: Path) -> None:
    source = EXAMPLE.replace("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", PUBLIC_KEY)
    assert source != EXAMPLE
    command, told = python_plugin(tmp_path, source), {"data_dir": str(tmp_path)}
    told["instance_id"] = INSTANCE
    with running(command, tmp_path / "s") as plugin, CoreV2(plugin, **told) as core:
        core.until("error")
        code, said = plugin.ended()
        assert (code, "no whole licence" in said) == (78, True)
    (tmp_path / "license.txt").write_text(issued(plugin="disk-guard", expires=None))
    with running(command, tmp_path / "s2") as plugin, CoreV2(plugin, **told) as core:
        core.ready()
        assert json.loads(core.http("GET", "/status")["text"]) == {"disks": "well"}
        (tmp_path / "license.txt").write_text(issued(plugin="other"))
        refused = core.http("GET", "/status")
        assert (refused["status"], json.loads(refused["text"])["code"]) == (402, "other_plugin")
