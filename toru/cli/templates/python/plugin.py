"""__plugin_name__: what it answers. ``toru plugin build`` makes one file of this folder."""

from __future__ import annotations

import threading

from toru_plugin import Plugin, Request

plugin = Plugin(
    id="__plugin_id__",
    name="__plugin_name__",
    version="0.1.0",
    author="__plugin_author__",
    icon="🧩",
    route="/__plugin_id__",
)
plugin.bundle("bundle.js")
# Reading and writing the counter are two calls; requests must not come between them.
turn = threading.Lock()


@plugin.get("/")
def index(request: Request) -> dict[str, str]:
    """Greet whoever asks."""
    return {"message": f"Hello, {request.user}!"}


@plugin.get("/api/counter")
def show(_: Request) -> dict[str, int]:
    """Return how often the button was pressed."""
    return {"count": read_count()}


@plugin.post("/api/counter")
def count(request: Request) -> dict[str, int]:
    """Count one more."""
    with turn:
        counted = read_count() + 1
        plugin.kv.set("count", str(counted))
    plugin.log.info("counted", count=counted, user=request.user)
    return {"count": counted}


@plugin.delete("/api/counter")
def reset(_: Request) -> dict[str, int]:
    """Begin at 0 again."""
    plugin.kv.delete("count")
    return {"count": 0}


def read_count() -> int:
    """Return the stored count; 0 before the first."""
    return int(plugin.kv.get("count") or 0)
