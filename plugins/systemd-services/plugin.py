"""Services of systemd on the dashboard: states, logs, and start and stop for the admin.

Runs on: Python 3.9 or newer; it starts nothing before somebody looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toru_plugin import EventStream, HttpError, Plugin, Request, Response, assets

if TYPE_CHECKING:
    from systemd_units.journal import Followers

plugin = Plugin(
    id="systemd-services",
    name="Services",
    version="1.0.0",
    author="Toru",
    icon="settings",
    route="/services",
)


class Shared:
    """What the handlers share; made with the first one, since its module is slow to import."""

    followers: Followers | None = None


@plugin.get("/bundle.js")
def bundle(_: Request) -> Response:
    """Return the page: one script of what the plugins' pages share and this one's own."""
    parts = [assets.read(globals(), name).decode() for name in ("parts.js", "page.js")]
    script = "\n".join(["(() => {", *parts, "})();", ""])
    return Response(body=script, content_type="text/javascript; charset=utf-8")


@plugin.get("/api/units")
async def index(request: Request) -> dict[str, Any]:
    """Return the services; where there is no systemd, a sentence instead."""
    from systemd_units.commands import NoSystemd, SystemdError  # asyncio is slow to import
    from systemd_units.units import list_units

    try:
        return {"available": True, "units": await list_units(scope_of(request))}
    except NoSystemd as error:
        return {"available": False, "reason": str(error), "units": []}
    except SystemdError as error:
        raise answer_to(error) from None


@plugin.get("/api/units/{name}")
async def show(request: Request, name: str) -> dict[str, Any]:
    """Return one service."""
    from systemd_units.commands import SystemdError
    from systemd_units.units import read_unit

    try:
        return await read_unit(scope_of(request), checked(name))
    except SystemdError as error:
        raise answer_to(error) from None


@plugin.get("/api/units/{name}/logs")
async def logs(request: Request, name: str) -> EventStream:
    """Send the last lines of a service's journal, and all that follow."""
    from systemd_units.journal import MAX_LINES, Followers

    only_admins(request)
    wanted = request.query.get("lines", "200")
    lines = min(int(wanted), MAX_LINES) if wanted.isdecimal() else 200
    Shared.followers = Shared.followers or Followers()
    Shared.followers.check()
    after = request.headers.get("Last-Event-ID")
    return EventStream(Shared.followers.follow(scope_of(request), checked(name), lines, after))


@plugin.post("/api/units/{name}/{action}")
async def change(request: Request, name: str, action: str) -> dict[str, Any]:
    """Start, stop or restart a service, and return what became of it."""
    from systemd_units.commands import SystemdError
    from systemd_units.units import ACTIONS, change_unit

    only_admins(request)
    if action not in ACTIONS:
        raise HttpError(404, "There is nothing at this path.", "not_found")
    scope, name = scope_of(request), checked(name)
    try:
        result = await change_unit(scope, name, action)
    except SystemdError as error:
        plugin.log.warning(f"{action} {name}: {error}", user=request.user)
        raise answer_to(error) from None
    plugin.log.info(f"{action} {name}", user=request.user, state=result["unit"]["active"])
    return result


def scope_of(request: Request) -> str:
    """Return whose services are meant."""
    scope = request.query.get("scope", "system")
    if scope not in ("system", "user"):
        raise HttpError(400, "The scope must be system or user.", "bad_request")
    return scope


def checked(name: str) -> str:
    """Return the name of a service, if it can be one; a tilde stands for a backslash.

    systemd escapes names with backslashes, which the hub lets into no path.
    """
    from systemd_units.units import UNIT_NAME

    name = name.replace("~", "\\")
    if not UNIT_NAME.fullmatch(name):
        raise HttpError(400, "This is no name of a service.", "bad_name")
    return name


def only_admins(request: Request) -> None:
    """Refuse everybody else: logs may hold what is not for everybody."""
    if request.role != "admin":
        raise HttpError(403, "Only the admin may do this.", "forbidden")


def answer_to(error: Exception) -> HttpError:
    """Return the answer to what systemctl did not do."""
    from systemd_units import commands

    if isinstance(error, commands.NotAllowed):
        return HttpError(403, str(error), "not_allowed")
    if isinstance(error, commands.NoSuchUnit):
        return HttpError(404, str(error), "no_such_unit")
    if isinstance(error, commands.NoSystemd):
        return HttpError(503, str(error), "no_systemd")
    if isinstance(error, commands.TooSlow):
        return HttpError(504, str(error), "too_slow")
    return HttpError(409, str(error), "failed")


if __name__ == "__main__":
    plugin.run()
