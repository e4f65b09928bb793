"""Whether a plugin has a page: the file of a bundle, or an answer to ``GET /bundle.js``.

It is not asked for one without need: a request that nobody has made may be one too many for a
plugin that knows nothing of it. So for some it is not known before somebody has looked.

Runs on: the event loop, owned by one `Plugin`.
"""

from __future__ import annotations

from toru.actors.messages.plugins import PluginRequest
from toru.domain.plugin_headers import request_headers

FEATURE = "bundle"
"""What a plugin of version 2 says in its ``hello_ok`` when it answers ``GET /bundle.js``."""


def bundle_request(user: str, role: str, number: int) -> PluginRequest:
    """Return the request for the bundle that a plugin serves itself."""
    headers = request_headers((), user=user, role=role, client_address="", scheme="", host="")
    return PluginRequest("GET", "/bundle.js", headers, b"", user=user, role=role, id=number)


class PluginPage:
    """What is known of a plugin's page.

    Args:
        has_file: whether there is the file of a bundle.
    """

    def __init__(self, has_file: bool) -> None:
        self._has_file = has_file
        self._is_offered = False
        self._was_served: bool | None = None

    @property
    def exists(self) -> bool | None:
        """Whether there is a page; None while that is not known."""
        if self._has_file:
            return True
        return True if self._is_offered and self._was_served is None else self._was_served

    def note_file(self, has_file: bool) -> None:
        """Take note of a bundle's file that has come or gone."""
        self._has_file = has_file

    def note_features(self, features: tuple[str, ...]) -> None:
        """Take note of what a plugin that has got ready says that it can."""
        self._is_offered = FEATURE in features

    def note_answer(self, was_served: bool) -> None:
        """Take note of what it answered to somebody who looked."""
        self._was_served = was_served

    def note_other_binary(self) -> None:
        """Take note that the plugin is another one from its next start on."""
        self._was_served = None
