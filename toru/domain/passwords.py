"""The rules for names and passwords of users.

Runs on: any thread; pure.
"""

from __future__ import annotations

import re

from toru.errors import BadRequest

PASSWORD_MIN = 8
PASSWORD_MAX = 1024
USERNAME_MAX = 64
DISPLAY_NAME_MAX = 100

_SURROGATE = re.compile("[\ud800-\udfff]")


def check_password(password: str) -> None:
    """Check a password that is to be set.

    Raises:
        BadRequest: it is too short, too long or too plain.
    """
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise BadRequest(
            f"A password has {PASSWORD_MIN} to {PASSWORD_MAX:,} characters.", code="weak_password"
        )
    missing = _missing_kinds(password)
    if missing:
        raise BadRequest(f"The password needs {' and '.join(missing)}.", code="weak_password")
    if _SURROGATE.search(password):
        raise BadRequest("The password is not valid text.")


def check_username(username: str) -> None:
    """Check a name that is to be logged in with.

    Raises:
        BadRequest: it is empty, too long, or has characters that cannot be seen.
    """
    _check_name(username, "A user name", USERNAME_MAX)


def check_display_name(display_name: str) -> None:
    """Check a name that is to be shown.

    Raises:
        BadRequest: it is empty, too long, or has characters that cannot be seen.
    """
    _check_name(display_name, "A display name", DISPLAY_NAME_MAX)


def same_name(one: str, other: str) -> bool:
    """Return whether two names would be taken for each other, whatever their case."""
    return one.casefold() == other.casefold()


def _check_name(name: str, what: str, longest: int) -> None:
    if not 1 <= len(name) <= longest:
        raise BadRequest(f"{what} has 1 to {longest} characters.")
    if not name.isprintable():
        raise BadRequest(f"{what} has printable characters only.")
    if name != name.strip():
        raise BadRequest(f"{what} neither begins nor ends with a space.")


def _missing_kinds(password: str) -> list[str]:
    kinds = {
        "an upper-case letter": str.isupper,
        "a lower-case letter": str.islower,
        "a digit": str.isdigit,
        "a special character": _is_special,
    }
    return [name for name, fits in kinds.items() if not any(map(fits, password))]


def _is_special(character: str) -> bool:
    return not character.isalnum()
