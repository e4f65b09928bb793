"""Write plugins for Toru in Python: routes, storage, logs and events, with nothing to install.

    from toru_plugin import Plugin

    plugin = Plugin(id="hello", name="Hello", version="1.0.0", route="/hello")

    @plugin.get("/api/greeting")
    def greeting(request):
        return {"text": f"Hello, {request.user}"}

    if __name__ == "__main__":
        plugin.run()

Runs on: Python 3.9 or newer, standard library only. Both versions of the plugin protocol are
served; the core's first message decides. Streams and WebSockets need version 2.
"""

from __future__ import annotations

from ._version import __version__
from .core_events import PluginEvent
from .errors import CallError, Disconnected, HttpError, NeedsConfiguration, PluginError
from .events import EventStream, ServerEvent
from .headers import Headers
from .messages import Request, Response
from .plugin import Plugin
from .sockets import WebSocket
from .storage import Entry, Page

__all__ = [
    "CallError",
    "Disconnected",
    "Entry",
    "EventStream",
    "Headers",
    "HttpError",
    "NeedsConfiguration",
    "Page",
    "Plugin",
    "PluginError",
    "PluginEvent",
    "Request",
    "Response",
    "ServerEvent",
    "WebSocket",
    "__version__",
]
