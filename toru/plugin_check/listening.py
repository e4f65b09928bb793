"""Starts a plugin as the hub does and reaches the socket that it listens on.

Runs on: the checker's thread.
"""

from __future__ import annotations

import itertools
import socket
import struct
import time

from toru.clock import monotonic
from toru.plugin_check.model import MANY_S, Broken, Setting
from toru.plugin_check.process import PluginRun
from toru.wire.unix_paths import reachable

_PAUSE_S = 0.005
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid (unix(7))
_spawns = itertools.count(1)


class Started:
    """A plugin's process with a socket of its own.

    Args:
        setting: what is checked.
        environment: added to what version 1 sets.

    Attributes:
        run: the process.
        socket_path: where it is to listen.
        instance_id: the installation that it is told.
        log_path: where the hub would put its output.
        data_dir: a folder of its own.
    """

    def __init__(self, setting: Setting, **environment: str) -> None:
        name = setting.metadata.id if setting.metadata else "plugin"
        place = setting.folder / str(next(_spawns))
        place.mkdir(mode=0o700)
        self.timeout_s = setting.timeout_s
        self.socket_path = place / f"{name[:40]}.sock"
        self.log_path = place / "plugin.log"
        self.data_dir = place / "data"
        self.data_dir.mkdir(mode=0o700)
        self.instance_id = "7d3f2d52-6c0e-4c57-9b0a-0e7d1c1f5a11"
        self.run = PluginRun(setting.path, TORU_PLUGIN_SOCKET=str(self.socket_path), **environment)

    def connect(self) -> socket.socket:
        """Return a connection as soon as somebody listens.

        Raises:
            Broken: nobody does in time, or the process ends before.
        """
        expected = "It listens on the socket that TORU_PLUGIN_SOCKET names, within 30 s."
        deadline = monotonic() + MANY_S * self.timeout_s
        while True:
            try:
                return self._connect_once()
            except OSError:
                if self.run.exit_code is not None:
                    raise Broken(f"{self.run.how_it_ended()}", expected) from None
                if monotonic() > deadline:
                    raise Broken(self._why_silent(), expected) from None
            time.sleep(_PAUSE_S)

    def reconnect(self) -> socket.socket:
        """Return one more connection to a plugin that has listened before.

        Raises:
            Broken: it listens no more.
        """
        try:
            return self._connect_once()
        except OSError as error:
            if self.run.wait(0.3):
                raise Broken(self.run.how_it_ended()) from None
            sentence = f"Its socket takes no connections any more: {error.strerror or error}."
            raise Broken(sentence) from None

    def check_owner(self, connection: socket.socket) -> None:
        """Look that the listener is the plugin.

        Raises:
            Broken: another process has made the socket.
        """
        if not hasattr(socket, "SO_PEERCRED"):
            return
        packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        peer = _CREDENTIALS.unpack(packed)[0]
        if not self.run.descends(peer):
            raise Broken(f"The process {peer}, which the checker has not started, listens there.")

    def _connect_once(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self.timeout_s)
            with reachable(self.socket_path) as address:
                connection.connect(address)
        except BaseException:
            connection.close()
            raise
        return connection

    def _why_silent(self) -> str:
        waited = f"within {MANY_S * self.timeout_s:g} s"
        if self.socket_path.is_socket():
            return f"There is a socket file, but nobody listens on it {waited}."
        others = sorted(path.name for path in self.socket_path.parent.iterdir())
        beside = [name for name in others if name != "data"]
        return f"There is no socket {waited}" + (
            f"; beside it are {', '.join(beside)}." if beside else "."
        )
