"""HTTP over the engine's Unix socket, and which socket that is.

Runs on: any thread that may wait.

    EngineError         the engine refused; the sentence is its own
    ├── NoEngine        there is none that could be asked; the sentence says what to do
    └── TooSlow         it did not answer in time
"""

from __future__ import annotations

import errno
import getpass
import grp
import http.client
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

ASK_TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 32 * 1024 * 1024
_UNIX = "unix://"


class EngineError(Exception):
    """What the engine did not do; the text is a sentence for people.

    Attributes:
        status: of its answer; 0 when it gave none.
    """

    def __init__(self, sentence: str, status: int = 0) -> None:
        super().__init__(sentence)
        self.status = status


class NoEngine(EngineError):
    """There is no engine that could be asked."""


class TooSlow(EngineError):
    """No answer in time."""


class Engine(NamedTuple):
    """An engine that answers.

    Attributes:
        path: of its socket.
        name: ``Docker`` or ``Podman``.
        api: the newest version of the API that it speaks, such as ``1.43``.
    """

    path: str
    name: str
    api: str


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection over a Unix socket.

    Attributes:
        wire: the socket itself, which `http.client` gives away with the answer.
    """

    def __init__(self, path: str, timeout_s: float | None) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path
        self.wire: socket.socket | None = None

    def connect(self) -> None:
        """Connect to the socket."""
        wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            wire.settimeout(self.timeout)
            wire.connect(self._path)
        except BaseException:
            wire.close()
            raise
        self.sock = self.wire = wire


def candidates() -> list[str]:
    """Return where engines listen: first where one was told to, then the usual places."""
    told = os.environ.get("DOCKER_HOST", "")
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    home = os.environ.get("HOME", "/nonexistent")
    usual = [
        "/var/run/docker.sock",
        "/run/podman/podman.sock",
        f"{runtime}/docker.sock",
        f"{runtime}/podman/podman.sock",
        f"{home}/.docker/run/docker.sock",
        f"{home}/.docker/desktop/docker.sock",
    ]
    return [told[len(_UNIX) :], *usual] if told.startswith(_UNIX) else usual


class Finder:
    """Knows the engine that answered last, and looks for one when it does no more.

    Args:
        chosen: returns the path or address that the settings name; empty for the usual places.
    """

    def __init__(self, chosen: Callable[[], str] = str) -> None:
        self._chosen = chosen
        self._known: Engine | None = None

    def find(self) -> Engine:
        """Return the engine.

        Raises:
            NoEngine: none answers.
        """
        if self._known is not None and os.path.exists(self._known.path):  # noqa: PTH110 - a str
            return self._known
        self._known = None
        troubles: list[tuple[str, OSError]] = []
        chosen = self._chosen()
        path_of_chosen = chosen[len(_UNIX) :] if chosen.startswith(_UNIX) else chosen
        for path in [path_of_chosen] if chosen else candidates():
            try:
                self._known = greet(path)
            except OSError as error:
                troubles.append((path, error))
            else:
                return self._known
        raise NoEngine(_why_none(troubles, chosen))

    def forget(self) -> None:
        """Look anew the next time."""
        self._known = None


def greet(path: str) -> Engine:
    """Return the engine at a socket.

    Raises:
        OSError: none answers there.
    """
    connection = UnixConnection(path, ASK_TIMEOUT_S)
    try:
        connection.request("GET", "/_ping")
        answer = connection.getresponse()
        answer.read(1024)
    except http.client.HTTPException as error:
        raise OSError(errno.EPROTO, f"it speaks no HTTP: {error!r}") from None
    finally:
        connection.close()
    api = answer.headers.get("Api-Version", "")
    if answer.status != 200 or not api.replace(".", "").isdecimal():
        raise OSError(errno.EPROTO, "it is no container engine")
    name = "Podman" if "Libpod-Api-Version" in answer.headers else "Docker"
    return Engine(path, name, api)


def ask(
    engine: Engine,
    method: str,
    path: str,
    query: dict[str, str] | None = None,
    timeout_s: float | None = None,
) -> Any:
    """Ask an engine something, and return its JSON; None when it has nothing to say.

    Raises:
        EngineError: it refused, or gave no answer that could be understood.
    """
    timeout_s = timeout_s or ASK_TIMEOUT_S
    connection, answer = open_answer(engine, method, path, query, timeout_s)
    try:
        content = answer.read(MAX_ANSWER_BYTES)
        return json.loads(content) if content.strip() else None
    except (OSError, http.client.HTTPException) as error:
        raise _lost(engine, error, timeout_s) from None
    except ValueError:
        raise EngineError(f"{engine.name} answered with something that is no JSON.") from None
    finally:
        answer.close()
        connection.close()


def open_answer(
    engine: Engine,
    method: str,
    path: str,
    query: dict[str, str] | None = None,
    timeout_s: float | None = None,
) -> tuple[UnixConnection, http.client.HTTPResponse]:
    """Ask an engine something, and return the answer while its body still comes.

    The caller closes both.

    Raises:
        EngineError: it refused.
    """
    timeout_s = timeout_s or ASK_TIMEOUT_S
    connection = UnixConnection(engine.path, timeout_s)
    target = f"/v{engine.api}{path}" + (f"?{urlencode(query)}" if query else "")
    try:
        connection.request(method, target)
        answer = connection.getresponse()
        if answer.status < 400:
            return connection, answer
        sentence = _sentence(engine, answer)
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise _lost(engine, error, timeout_s) from None
    connection.close()
    raise EngineError(sentence, answer.status)


def _sentence(engine: Engine, answer: http.client.HTTPResponse) -> str:
    """Return what a refusal says: ``{"message": "…"}``."""
    content = answer.read(64 * 1024)
    try:
        said = str(json.loads(content)["message"]).strip()
    except (ValueError, KeyError, TypeError):
        said = ""
    return said[:1000] or f"{engine.name} answered with the status {answer.status}."


def _lost(engine: Engine, error: Exception, timeout_s: float) -> EngineError:
    if isinstance(error, socket.timeout):
        return TooSlow(f"{engine.name} gave no answer within {timeout_s:g} seconds.")
    if isinstance(error, OSError):
        return NoEngine(_why_none([(engine.path, error)]))
    return EngineError(f"{engine.name} broke its answer off.")


def _why_none(troubles: list[tuple[str, OSError]], chosen: str = "") -> str:
    """Return why no engine answers; what is there but refuses is worth more than what is not."""
    for path, error in troubles:
        if error.errno in (errno.EACCES, errno.EPERM) and not _is_hidden(path):
            return _not_allowed(path)
    for path, error in troubles:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM):
            return f"A container engine should listen at {path}, but {_trouble(error)}."
    if chosen:
        return f"There is no socket {chosen}, which the plugin's settings name."
    return (
        "There is no container engine on this machine: neither Docker nor Podman has a socket "
        "here. Docker makes one when it runs; Podman after “systemctl enable --now podman.socket”."
    )


def _trouble(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing answers there: it has been stopped or is just starting"
    if isinstance(error, socket.timeout):
        return f"it gave no answer within {ASK_TIMEOUT_S:g} seconds"
    return error.strerror or str(error) or "it does not answer"


def _is_hidden(path: str) -> bool:
    """Return whether nobody can tell if a socket is there, since its folder is closed."""
    return not os.access(Path(path).parent, os.X_OK)


def _not_allowed(path: str) -> str:
    user = _user()
    try:
        group = grp.getgrgid(Path(path).stat().st_gid).gr_name
    except (OSError, KeyError):
        group = "docker"
    return (
        f"The container engine's socket {path} is there, but Toru runs as the user “{user}”, who "
        f"may not use it. Add that user to the group “{group}” (“usermod -aG {group} {user}”), "
        "then start Toru again, runner included: “toru stop --all”."
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
