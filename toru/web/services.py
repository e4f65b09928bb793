"""What every handler may use: the configuration and the addresses of the actors.

Runs on: made by the composition root, read on the event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from toru.actors.log_sink import LOG_READER
from toru.actors.messages.auth import Session
from toru.actors.outputs import OUTPUTS
from toru.actors.plugin_places import PluginPlaces
from toru.actors.runtime import ActorSystem, Address
from toru.clock import utc_now
from toru.config import Config


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """Everything behind the web; handlers send messages to it and do nothing else.

    Attributes:
        open_client: makes the actor of a WebSocket connection and returns its address.
        open_plugin_socket: makes the actor of a WebSocket that a plugin has taken: the connection,
            its session, the plugin's actor, the number of the request.
        close_client: ends the actor of a WebSocket connection that is gone.
        started_at: when the hub started, RFC 3339 UTC.
    """

    config: Config
    system: ActorSystem
    auth: Address
    tasks: Address
    settings: Address
    scripts: Address
    quick_actions: Address
    monitor: Address
    machine_history: Address
    processes: Address
    reader: Address
    hub: Address
    runner: Address
    plugins: Address
    plugin_places: PluginPlaces
    log_reader: Address
    outputs: Address
    started_at: str
    open_client: Callable[[Any, Session], Address]
    open_plugin_socket: Callable[[Any, Session, Address, int], Address]
    close_client: Callable[[Address], None]


def services_of(
    system: ActorSystem,
    config: Config,
    places: PluginPlaces,
    *,
    open_client: Callable[[Any, Session], Address],
    open_plugin_socket: Callable[[Any, Session, Address, int], Address],
    close_client: Callable[[Address], None],
) -> Services:
    """Return the services of a system, whose actors may start before or after."""
    at = system.address
    return Services(
        config=config,
        system=system,
        auth=at("auth"),
        tasks=at("task_manager"),
        settings=at("settings"),
        scripts=at("scripts"),
        quick_actions=at("quick_actions"),
        monitor=at("monitor"),
        machine_history=at("machine_history"),
        processes=at("processes"),
        reader=at("db_reader"),
        hub=at("hub"),
        runner=at("runner_link"),
        plugins=at("plugin_manager"),
        plugin_places=places,
        log_reader=at(LOG_READER),
        outputs=at(OUTPUTS),
        started_at=utc_now(),
        open_client=open_client,
        open_plugin_socket=open_plugin_socket,
        close_client=close_client,
    )
