"""Who may do what: the one place that compares a session with a role.

Runs on: any thread; pure.
"""

from __future__ import annotations

from typing import Literal, Protocol

from toru.errors import Forbidden, Unauthorized

Access = Literal["anon", "any", "admin"]
"""Who may use a method: everybody, every live session, or only an admin."""


class Principal(Protocol):
    """What a decision needs to know of a session."""

    @property
    def is_admin(self) -> bool:
        """Whether the session may do everything."""

    @property
    def user_id(self) -> int | None:
        """The user in the database; None is the admin of the environment."""


def authorise(access: Access, principal: Principal | None) -> None:
    """Let a session pass, or refuse it.

    Raises:
        Unauthorized: a session is needed and there is none.
        Forbidden: the session is not an admin's.
    """
    if access == "anon":
        return
    if principal is None:
        raise Unauthorized("Please log in.")
    if access == "admin" and not principal.is_admin:
        raise Forbidden("Only an admin may do this.")


def owns(principal: Principal, owner_id: int | None) -> bool:
    """Return whether a session may see and change what a user owns.

    Args:
        principal: the session.
        owner_id: the owner in the database; None is the admin of the environment.
    """
    return principal.is_admin or (owner_id is not None and principal.user_id == owner_id)
