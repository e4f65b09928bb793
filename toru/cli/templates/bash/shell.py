"""The way from the plugin protocol to ``plugin.sh``: one run of bash for each request.

Bash cannot listen on a Unix socket, so this does it. It needs ``bash`` and Python 3.9 or newer.

Runs on: a thread of the library's for each request, and one more that waits for its bash.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
from typing import Any, BinaryIO

from toru_plugin import CallError, HttpError, Plugin, PluginError, Request, Response, assets

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


def serve(plugin: Plugin, limit_s: float) -> None:
    """Let ``plugin.sh`` answer every request of a plugin.

    Args:
        plugin: the plugin; it must have no other routes than its page and files.
        limit_s: a run that takes longer is ended, and answered with 504.
    """
    files = (_in_memory("helpers.sh"), _in_memory("plugin.sh"))
    checked = subprocess.run(
        ["bash", "-n", _path(files[1])], pass_fds=files, stderr=subprocess.PIPE, check=False
    )
    if checked.returncode:
        said = checked.stderr.decode("utf-8", "replace").replace(_path(files[1]), "plugin.sh")
        raise SystemExit(said)
    adding = threading.Lock()

    def answer(request: Request, rest: str = "") -> Response:
        del rest
        return _Run(plugin, request, adding).answer(files, limit_s)

    plugin.on_config(lambda: None)  # every run of the script reads the settings anew
    for method in METHODS:
        plugin.on(method, "/")(answer)
        plugin.on(method, "/{rest:path}")(answer)


def _in_memory(name: str) -> int:
    """Return a descriptor of a file's content; the file itself may be inside an archive."""
    descriptor = os.memfd_create(name)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(assets.read(globals(), name))
    return descriptor


def _path(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


class _Run:
    """One run of the script, and what it has said of its answer so far."""

    def __init__(self, plugin: Plugin, request: Request, adding: threading.Lock) -> None:
        self._plugin = plugin
        self._request = request
        self._adding = adding
        self._status = 200
        self._headers: list[tuple[str, str]] = []
        self._type = TEXT
        self._is_late = False

    def answer(self, files: tuple[int, int], limit_s: float) -> Response:
        """Run the script to its end and return its answer."""
        helpers, script = files
        ours, theirs = socket.socketpair()
        with ours, tempfile.TemporaryFile() as body, tempfile.TemporaryFile() as output:
            body.write(self._request.content())
            body.seek(0)
            with theirs:
                process = subprocess.Popen(
                    ["bash", _path(script)],
                    stdin=body,
                    stdout=output,
                    pass_fds=(helpers, script, theirs.fileno()),
                    env=self._environment(theirs.fileno(), _path(helpers)),
                    start_new_session=True,
                )
            waiter = threading.Thread(target=self._wait, args=(process, ours, limit_s))
            waiter.start()
            with ours.makefile("rb") as words:
                self._converse(words, ours)
            waiter.join()
            output.seek(0)
            return self._response(process.returncode, output.read())

    def _environment(self, descriptor: int, helpers: str) -> dict[str, str]:
        request = self._request
        return {
            **os.environ,
            "BASH_ENV": helpers,  # bash reads it first (bash(1), INVOCATION)
            "TORU_FD": str(descriptor),
            "REQUEST_METHOD": request.method,
            "REQUEST_PATH": request.path,
            "REQUEST_QUERY": request.query_string,
            "REQUEST_USER": request.user or "",
            "REQUEST_ROLE": request.role or "",
        }

    def _wait(self, process: subprocess.Popen[bytes], ours: socket.socket, limit_s: float) -> None:
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self._is_late = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        # What it has left in the background may hold the other end; nobody waits for that.
        ours.shutdown(socket.SHUT_RD)

    def _converse(self, words: BinaryIO, ours: socket.socket) -> None:
        """Answer what the script asks, until it ends."""
        while True:
            number = _word(words)
            if number is None:
                return
            asked = [_word(words) or "" for _ in range(int(number))]
            try:
                found = self._do(asked[0], asked[1:])
                reply = "-" if found is None else f"+{found}"
            except (CallError, PluginError, ValueError, IndexError) as error:
                reply = f"-{asked[0]}: {error}"
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                ours.sendall(reply.replace("\0", "").encode("utf-8", "replace") + b"\0")

    def _do(self, what: str, words: list[str]) -> str | None:
        """Return the answer to one question; None means that there is none."""
        if what == "kv":
            return self._kv(*words)
        if what == "param":
            return self._param(*words)
        if what == "config":
            return self._config(*words)
        if what == "json":
            self._type = JSON
            return json.dumps(dict(_pair(word) for word in words), ensure_ascii=False)
        if what == "status":
            self._status = Response(int(words[0])).status
        elif what == "header":
            Response(headers={words[0]: words[1]})
            self._headers.append((words[0], words[1]))
        return ""

    def _kv(self, action: str, key: str, value: str | None = None) -> str | None:
        kv = self._plugin.kv
        if action == "get":
            found: str | None = kv.get(key)
            return value if found is None else found
        if action == "add":
            with self._adding:
                total = int(kv.get(key) or 0) + int(value or 1)
                kv.set(key, str(total))
            return str(total)
        if action == "set":
            kv.set(key, value or "")
        elif action == "delete":
            kv.delete(key)
        else:
            raise ValueError(f"{action} is none of get, set, delete, add")
        return ""

    def _param(self, name: str, default: str | None = None) -> str | None:
        values: dict[str, Any] = dict(self._request.query)
        if self._request.headers.get("Content-Type", "").startswith(JSON):
            with contextlib.suppress(HttpError):
                content = self._request.json()
                values.update(content if isinstance(content, dict) else {})
        value = values.get(name, default)
        return value if value is None or isinstance(value, str) else json.dumps(value)

    def _config(self, name: str, default: str | None = None) -> str | None:
        value = self._plugin.config.get(name, default)
        if isinstance(value, list):
            return "\n".join(value)
        return value if value is None or isinstance(value, str) else json.dumps(value)

    def _response(self, code: int, output: bytes) -> Response:
        if self._is_late:
            raise HttpError(504, "The script took too long.", "script_late")
        if code:
            self._plugin.log.error("plugin.sh failed", exit_code=code, path=self._request.path)
            raise HttpError(500, "The script failed; the plugin's log says why.", "script_failed")
        headers = self._headers
        if not any(name.lower() == "content-type" for name, _ in headers):
            headers = [*headers, ("Content-Type", self._type)]
        return Response(self._status, headers, output)


def _word(words: BinaryIO) -> str | None:
    """Return the next word; None at the end."""
    found = bytearray()
    while True:
        byte = words.read(1)
        if not byte:
            return None
        if byte == b"\0":
            return found.decode("utf-8", "replace")
        found += byte


def _pair(word: str) -> tuple[str, Any]:
    name, _, text = word.partition("=")
    if name.endswith(":"):
        return name[:-1], json.loads(text)
    return name, text
