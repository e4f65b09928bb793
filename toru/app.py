"""The composition root: what the hub is made of, in the order in which it starts.

Runs on: the main thread. `serve` reads top to bottom; each step waits for the one before, and
the stop is its mirror image, because every step pushes its own end on the stack.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pykka
import tornado.netutil

from toru.actors.auth import Admin, Auth
from toru.actors.client import TURNS, Client
from toru.actors.client_outbox import Connection
from toru.actors.hub import Hub, Members
from toru.actors.log_sink import (
    PLUGIN_LOGS,
    SUPERVISOR_LOG,
    PluginLogs,
    PluginLogSinks,
    log_reader,
    supervisor_log_sink,
)
from toru.actors.machine_history import MachineHistory
from toru.actors.messages.auth import Session
from toru.actors.monitor import Monitor
from toru.actors.outputs import output_specs
from toru.actors.password_hasher import PasswordHasher
from toru.actors.plugin_folder import PluginFolder
from toru.actors.plugin_manager import PluginManager
from toru.actors.plugin_places import PluginPlaces
from toru.actors.plugin_prober import PluginProber
from toru.actors.plugin_services import PluginServices
from toru.actors.plugin_socket import PluginSocket, SocketConnection
from toru.actors.plugin_store import PluginStore
from toru.actors.processes import Processes
from toru.actors.quick_actions import QuickActions
from toru.actors.runner_link import RunnerLink
from toru.actors.runtime import ActorSystem, Address, Children, ChildSpec, Restart
from toru.actors.runtime.loop_lag import LoopLag
from toru.actors.scripts import Scripts
from toru.actors.settings import Settings
from toru.actors.storage_children import storage_children
from toru.actors.task import TaskServices
from toru.actors.task_manager import TaskManager
from toru.config import Config
from toru.runner.platform import raise_descriptor_limit
from toru.storage import Storage, open_storage
from toru.web.server import WebServer
from toru.web.services import services_of

logger = logging.getLogger("toru")

FAILED = 1
DRAIN_S = 10.0
BACKLOG = 1024
"""Connections that may wait to be taken, such as those of all viewers after a restart of the hub;
the system lets one more try again a second later."""


async def serve(config: Config) -> int:
    """Be the hub until SIGTERM or SIGINT.

    Returns:
        0 after a stop that was asked for, 1 after a part of the hub was given up.

    Raises:
        ConfigError: the machine does not allow the start; nothing has been changed.
        OSError: the address cannot be bound.
    """
    stop = _Stop()
    descriptors = raise_descriptor_limit()
    async with AsyncExitStack() as stack:
        sockets = _bind(config)
        for listener in sockets:
            stack.callback(listener.close)
        stack.enter_context(_signals(stop))

        storage = open_storage(config.database_url)
        system = ActorSystem(on_give_up=stop.give_up)
        stack.callback(_check_nothing_is_left)
        stack.push_async_callback(system.stop)

        loop_lag = LoopLag(system.loop)
        stack.callback(loop_lag.close)
        log_sinks = PluginLogSinks(system, config.log_dir)
        clients = Clients(system)
        places = PluginPlaces(system)
        for spec in actor_specs(
            system, config, storage, clients.members, loop_lag, log_sinks, places, descriptors
        ):
            await system.spawn(spec)

        services = services_of(
            system,
            config,
            places,
            open_client=clients.open,
            open_plugin_socket=clients.open_plugin_socket,
            close_client=clients.close,
        )
        server = WebServer(services)
        stack.push_async_callback(server.drain, DRAIN_S)
        stack.push_async_callback(clients.close_all)
        stack.callback(server.stop)
        server.start(sockets)
        logger.info("Toru is ready on %s", _url(config, sockets))
        await stop.asked.wait()
        logger.info("Toru is stopping; runs go on in the runner.")
    logger.info("Toru has stopped.")
    return stop.exit_code


def actor_specs(
    system: ActorSystem,
    config: Config,
    storage: Storage,
    members: Members,
    loop_lag: LoopLag,
    log_sinks: PluginLogSinks,
    places: PluginPlaces,
    descriptors: int,
) -> Iterator[ChildSpec]:
    """Yield what is to be started, each once the one before it is up."""
    at = system.address
    yield from storage_children(storage)
    yield ChildSpec(
        "settings",
        Settings,
        args=(at("db_reader"), at("db_writer"), at("scripts")),
        kwargs={
            "listeners": (at("scripts"), at("task_manager")),
            "scripts_dir": config.scripts_dir,
        },
    )
    yield ChildSpec("hub", Hub, args=(members, at("monitor")))
    hashers = ("password_hasher_1", "password_hasher_2")
    for name in hashers:
        yield ChildSpec(name, PasswordHasher)
    yield ChildSpec(
        "auth",
        Auth,
        kwargs={
            "admin": Admin(
                config.admin_username,
                config.admin_display_name,
                config.admin_password,
            ),
            "db_writer": at("db_writer"),
            "db_reader": at("db_reader"),
            "hub": at("hub"),
            "hashers": tuple(map(at, hashers)),
        },
    )
    yield ChildSpec("scripts", Scripts, args=(at("db_reader"), config.scripts_dir, Path.cwd()))
    yield ChildSpec(
        "monitor", Monitor, args=(at("hub"), at("db_reader"), at("db_writer"), loop_lag)
    )
    yield ChildSpec("machine_history", MachineHistory, args=(at("db_reader"), at("monitor")))
    yield ChildSpec("processes", Processes)
    yield ChildSpec(
        "quick_actions",
        QuickActions,
        args=(at("db_reader"), at("db_writer"), at("scripts"), at("task_manager")),
    )
    yield ChildSpec(
        "runner_link",
        RunnerLink,
        args=(config.data_dir, (at("task_manager"), at("plugin_manager")), descriptors),
    )
    tasks = TaskServices(
        runs_dir=config.data_dir / "runs",
        runner=at("runner_link"),
        db_writer=at("db_writer"),
        db_reader=at("db_reader"),
        hub=at("hub"),
        task_manager=at("task_manager"),
    )
    yield ChildSpec(
        "task_manager",
        TaskManager,
        args=(tasks, at("scripts"), at("quick_actions"), at("settings")),
        shutdown_s=10.0,
    )
    yield from output_specs(system, tasks.runs_dir)
    yield supervisor_log_sink(config.log_dir)
    yield ChildSpec(PLUGIN_LOGS, PluginLogs, args=(log_sinks,), shutdown_s=10.0)
    yield log_reader(config.log_dir)
    yield ChildSpec("plugin_folder", PluginFolder, args=(config.plugins_dir,))
    yield ChildSpec("plugin_store", PluginStore, args=(config.plugins_dir,))
    yield ChildSpec("plugin_prober", PluginProber, args=(at("runner_link"),))
    plugins = PluginServices(
        runner=at("runner_link"),
        folder=at("plugin_folder"),
        store=at("plugin_store"),
        db_writer=at("db_writer"),
        db_reader=at("db_reader"),
        hub=at("hub"),
        tasks=at("task_manager"),
        manager=at("plugin_manager"),
        monitor=at("monitor"),
        supervisor_log=at(SUPERVISOR_LOG),
        log_sink=log_sinks.of,
        socket_dir=config.socket_dir,
        data_dir=config.data_dir,
        log_dir=config.log_dir,
        instance_id=storage.instance_id,
        backoff=config.plugin_backoff,
        healthy_s=config.plugin_healthy_s,
        look_s=config.plugin_look_s,
    )
    yield ChildSpec(
        "plugin_manager",
        PluginManager,
        args=(plugins, at("plugin_prober"), places),
        shutdown_s=30.0,
    )


class Clients:
    """Makes the actors of WebSocket connections.

    Attributes:
        members: who is there; the Hub's own book.
    """

    def __init__(self, system: ActorSystem) -> None:
        self._system = system
        self._children = Children(system, "hub", outlive_parent=True)
        self._numbers = itertools.count(1)
        self._turns = asyncio.Semaphore(TURNS)
        self.members: Members = {}

    def open(self, connection: Connection, session: Session) -> Address:
        """Start the actor of a connection."""
        at = self._system.address
        name = f"client/{next(self._numbers)}"
        args = (connection, session, at("auth"), at("task_manager"), at("hub"), self._turns)
        return self._children.start(
            ChildSpec(name, Client, args=args, restart=Restart.TEMPORARY, shutdown_s=1.0)
        )

    def open_plugin_socket(
        self, connection: SocketConnection, session: Session, plugin: Address, request_id: int
    ) -> Address:
        """Start the actor of a connection that a plugin has taken."""
        name = f"plugin_socket/{next(self._numbers)}"
        args = (connection, session, plugin, request_id, self._system.address("hub"))
        return self._children.start(
            ChildSpec(name, PluginSocket, args=args, restart=Restart.TEMPORARY, shutdown_s=1.0)
        )

    def close(self, address: Address) -> None:
        """Stop the actor of a connection that is gone; does not wait."""
        stopping = self._system.loop.create_task(self._children.stop(address.name))
        self._system.keep(stopping)

    async def close_all(self) -> None:
        """Stop the actors that are left; each closes its connection with 1001 (RFC 6455)."""
        await self._children.stop_all()


class _Stop:
    """Whether the hub is to stop, and with which exit code."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.exit_code = 0

    def ask(self) -> None:
        self.asked.set()

    def give_up(self, name: str, error: BaseException | None) -> None:
        """A part of the hub fails again and again: end, so that a service manager starts anew."""
        logger.critical("%s cannot be kept alive (%s); Toru stops.", name, error)
        self.exit_code = FAILED
        self.asked.set()


def _bind(config: Config) -> list[socket.socket]:
    return tornado.netutil.bind_sockets(config.port, config.host, backlog=BACKLOG)


def _url(config: Config, sockets: list[socket.socket]) -> str:
    port = sockets[0].getsockname()[1]
    return config.url.replace(f":{config.port}", f":{port}") if config.port == 0 else config.url


@contextmanager
def _signals(stop: _Stop) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.ask)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _check_nothing_is_left() -> None:
    for ref in pykka.ActorRegistry.get_all():
        logger.error("%s is left over after the stop.", ref)
