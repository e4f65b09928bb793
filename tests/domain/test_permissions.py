"""Who may do what.

Runs on: the test's thread.
"""

from __future__ import annotations

import pytest

from toru.actors.messages.auth import Session
from toru.actors.messages.storage import Role
from toru.domain.permissions import Access, authorise, owns
from toru.errors import Forbidden, Unauthorized


def session(user_id: int | None, role: Role) -> Session:
    return Session("id", user_id, "name", "Name", role, "2030-01-01T00:00:00.000Z")


ADMIN = session(None, "admin")
ADMIN_USER = session(3, "admin")
CLIENT = session(7, "client")


@pytest.mark.parametrize(
    ("access", "principal"),
    [
        ("anon", None),
        ("anon", CLIENT),
        ("any", CLIENT),
        ("any", ADMIN),
        ("admin", ADMIN),
        ("admin", ADMIN_USER),
    ],
)
def test_who_has_the_role_passes(access: Access, principal: Session | None) -> None:
    authorise(access, principal)


@pytest.mark.parametrize(
    ("access", "principal", "refusal"),
    [
        ("any", None, Unauthorized),
        ("admin", None, Unauthorized),
        ("admin", CLIENT, Forbidden),
    ],
)
def test_who_has_not_is_refused(
    access: Access, principal: Session | None, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        authorise(access, principal)


def test_a_client_owns_its_own_things_only_and_an_admin_all() -> None:
    assert owns(CLIENT, 7)
    assert not owns(CLIENT, 8)
    assert not owns(CLIENT, None)
    assert owns(ADMIN, 7)
    assert owns(ADMIN, None)
    assert owns(ADMIN_USER, None)
