"""Keys that licences are signed with, as files.

Runs on: the main thread of the command line. The library for signatures is slow to load, and
nothing else needs it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from toru.domain import license as licenses
from toru.errors import ToruError


class LicenseKeyError(ToruError):
    """A key cannot be written, read or used."""

    default_code = "key"
    exit_code = 2


def make(path: Path, *, replace: bool) -> str:
    """Write a new private key that only its owner may read, and return its public key.

    Args:
        path: the file.
        replace: whether it may take the place of one that is there.

    Raises:
        LicenseKeyError: there is one already, or it cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        _write(path, content, replace=replace)
    except FileExistsError:
        raise LicenseKeyError(
            f"{path} is there already, and no licence could be signed with that key any more. "
            "Choose another file with --out; --force replaces it nevertheless."
        ) from None
    except OSError as error:
        raise LicenseKeyError(f"{path} cannot be written: {error.strerror}.") from None
    return _text_of(key.public_key())


def _write(path: Path, content: bytes, *, replace: bool) -> None:
    """Write a file of mode 0600, whole at once; fail when it is there and must not be replaced."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        if replace:
            draft.replace(path)
        else:
            os.link(draft, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()


def load(path: Path) -> Ed25519PrivateKey:
    """Return the private key in a file; raises `LicenseKeyError` when there is none."""
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise LicenseKeyError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, TypeError):
        raise LicenseKeyError(
            f"{path} is no private key that `toru license keygen` has made."
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise LicenseKeyError(f"{path} is no private key that `toru license keygen` has made.")
    return key


def public_of(path: Path) -> str:
    """Return the public key of the private key in a file."""
    return _text_of(load(path).public_key())


def is_signed(public_key: str, message: bytes, signature: bytes) -> bool:
    """Return whether a message was signed; raises `LicenseKeyError` when the public key is none."""
    raw = licenses.decoded(public_key.strip())
    try:
        key = Ed25519PublicKey.from_public_bytes(raw or b"")
    except ValueError:
        raise LicenseKeyError(
            "This is no public key as `toru license keygen` shows it: 43 letters, digits, - and _."
        ) from None
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _text_of(key: Ed25519PublicKey) -> str:
    return licenses.encoded(key.public_bytes_raw())
