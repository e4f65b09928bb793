"""All actors of a hub but its web, in the test's own process, so that they can be reached.

Runs on: the test's event loop. Runner, database and plugins are real; the runner outlives them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from toru.actors.log_sink import PluginLogSinks
from toru.actors.plugin_places import PluginPlaces
from toru.actors.runtime import ActorSystem
from toru.actors.runtime.loop_lag import LoopLag
from toru.app import actor_specs
from toru.config import load_config
from toru.storage import open_storage

DESCRIPTORS = 1024


@asynccontextmanager
async def hub_actors(environ: Mapping[str, str]) -> AsyncIterator[ActorSystem]:
    """Start the actors of a hub with this environment, and stop them."""
    config = load_config(environ)
    system = ActorSystem()
    loop_lag = LoopLag(system.loop)
    places = PluginPlaces(system)
    sinks = PluginLogSinks(system, config.log_dir)
    storage = open_storage(config.database_url)
    try:
        for spec in actor_specs(system, config, storage, {}, loop_lag, sinks, places, DESCRIPTORS):
            await system.spawn(spec)
        yield system
    finally:
        await system.stop()
        loop_lag.close()
