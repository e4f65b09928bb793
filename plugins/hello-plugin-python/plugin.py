"""The hello plugin: a greeting, and a counter that survives restarts.

Runs on: Python 3.9 or newer; ``toru plugin build`` makes one file of this folder.
"""

from __future__ import annotations

import threading

from toru_plugin import Plugin, Request

plugin = Plugin(
    id="hello-plugin-python",
    name="Hello World (Python)",
    version="1.0.0",
    author="Toru",
    icon="👋",
    route="/hello-python",
)
plugin.bundle("bundle.js")
# Reading and writing the counter are two calls; requests must not come between them.
turn = threading.Lock()


@plugin.get("/")
def index(request: Request) -> dict[str, str]:
    """Greet whoever asks."""
    return {"message": f"Hello, {request.query.get('name') or request.user or 'world'}!"}


@plugin.get("/api/counter")
def counter(_: Request) -> dict[str, int]:
    """Return how often the button was pressed."""
    return {"count": read_count()}


@plugin.post("/api/counter")
def increment(_: Request) -> dict[str, int]:
    """Count one more."""
    with turn:
        count = read_count() + 1
        plugin.kv.set("count", str(count))
    plugin.log.info("The button was pressed.", count=count)
    return {"count": count}


def read_count() -> int:
    """Return the stored count; 0 before the first."""
    return int(plugin.kv.get("count") or 0)


@plugin.on_start
def started() -> None:
    """Say so in the log."""
    plugin.log.info(f"Hello plugin {plugin.version} speaks protocol {plugin.protocol}.")


if __name__ == "__main__":
    plugin.run()
