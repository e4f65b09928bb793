"""Containers of Docker or Podman on the dashboard: states, logs, and start and stop for the admin.

Runs on: Python 3.9 or newer; it asks the engine nothing before somebody looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toru_plugin import EventStream, HttpError, Plugin, Request, Response, assets

if TYPE_CHECKING:
    from container_engine.connection import Finder
    from container_engine.log_stream import Followers

plugin = Plugin(
    id="containers",
    name="Containers",
    version="1.0.0",
    author="Toru",
    icon="storage",
    route="/containers",
    settings={
        "type": "object",
        "properties": {
            "socket": {
                "type": "string",
                "pattern": "^(unix://)?/",
                "title": "Socket of the engine",
                "description": "Such as /run/podman/podman.sock. When it is empty, the usual "
                "places of Docker and Podman are tried.",
            }
        },
    },
)


class Shared:
    """What the handlers share; made with the first one, since its modules are slow to import."""

    finder: Finder | None = None
    followers: Followers | None = None


@plugin.get("/bundle.js")
def bundle(_: Request) -> Response:
    """Return the page: one script of what the plugins' pages share and this one's own."""
    parts = [assets.read(globals(), name).decode() for name in ("parts.js", "page.js")]
    script = "\n".join(["(() => {", *parts, "})();", ""])
    return Response(body=script, content_type="text/javascript; charset=utf-8")


@plugin.get("/api/containers")
def index(_: Request) -> dict[str, Any]:
    """Return the containers; where there is no engine, a sentence instead."""
    from container_engine.connection import EngineError, NoEngine
    from container_engine.containers import list_containers

    try:
        engine = finder().find()
        found = list_containers(engine)
    except NoEngine as error:
        finder().forget()
        return {"available": False, "reason": str(error), "containers": []}
    except EngineError as error:
        raise answer_to(error) from None
    return {"available": True, "engine": engine.name, "containers": found}


@plugin.get("/api/containers/{name}")
def show(_: Request, name: str) -> dict[str, Any]:
    """Return one container."""
    from container_engine.connection import EngineError
    from container_engine.containers import read_container

    name = checked(name)
    try:
        return read_container(finder().find(), name)
    except EngineError as error:
        raise answer_to(error) from None


@plugin.get("/api/containers/{name}/logs")
async def logs(request: Request, name: str) -> EventStream:
    """Send the last lines of a container's log, and all that follow."""
    from container_engine.log_stream import MAX_LINES, Followers

    only_admins(request)
    name = checked(name)
    wanted = request.query.get("lines", "200")
    lines = min(int(wanted), MAX_LINES) if wanted.isdecimal() else 200
    Shared.followers = Shared.followers or Followers(finder())
    Shared.followers.check()
    after = request.headers.get("Last-Event-ID")
    return EventStream(Shared.followers.follow(name, lines, after))


@plugin.post("/api/containers/{name}/{action}")
def change(request: Request, name: str, action: str) -> dict[str, Any]:
    """Start, stop or restart a container, and return what became of it."""
    from container_engine.connection import EngineError
    from container_engine.containers import ACTIONS, change_container

    only_admins(request)
    if action not in ACTIONS:
        raise HttpError(404, "There is nothing at this path.", "not_found")
    name = checked(name)
    try:
        result = change_container(finder().find(), name, action)
    except EngineError as error:
        plugin.log.warning(f"{action} {name}: {error}", user=request.user)
        raise answer_to(error) from None
    plugin.log.info(f"{action} {name}", user=request.user, state=result["container"]["state"])
    return result


def finder() -> Finder:
    """Return what knows the engine."""
    from container_engine.connection import Finder

    Shared.finder = Shared.finder or Finder(lambda: str(plugin.config.get("socket") or ""))
    return Shared.finder


@plugin.on_config
def changed() -> None:
    """Look for the engine anew."""
    if Shared.finder is not None:
        Shared.finder.forget()


def checked(name: str) -> str:
    """Return the name or id of a container, if it can be one."""
    from container_engine.containers import CONTAINER

    if not CONTAINER.fullmatch(name):
        raise HttpError(400, "This is no name of a container.", "bad_name")
    return name


def only_admins(request: Request) -> None:
    """Refuse everybody else: logs may hold what is not for everybody."""
    if request.role != "admin":
        raise HttpError(403, "Only the admin may do this.", "forbidden")


def answer_to(error: Exception) -> HttpError:
    """Return the answer to what the engine did not do."""
    from container_engine.connection import EngineError, NoEngine, TooSlow

    if isinstance(error, NoEngine):
        finder().forget()
        return HttpError(503, str(error), "no_engine")
    if isinstance(error, TooSlow):
        return HttpError(504, str(error), "too_slow")
    status = error.status if isinstance(error, EngineError) else 0
    if status in (404, 409):
        return HttpError(status, str(error), "refused")
    return HttpError(502, str(error), "engine_failed")


if __name__ == "__main__":
    plugin.run()
