"""Requests that the hub forwards to plugins, beside a bare Tornado handler in the same run.

Called as ``python -m bench.plugins [--rounds N]``. Exit code 1 when a budget is missed.

Runs on: a process of its own, which starts a hub with its runner and two plugins, a bare Tornado
server, and one client process at a time.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tests.support.quick_plugin
from bench.common import Row, measure_in_turns, median, rate, report
from tests.support.hub import HubProcess, wait_until

CONNECTIONS = 16
SECONDS = 2.0
ROUNDS = 7
BUDGET = 0.6
QUICK_PLUGIN = Path(tests.support.quick_plugin.__file__)

_BARE = """
import asyncio, sys, tornado.httpserver, tornado.netutil, tornado.web

class Handler(tornado.web.RequestHandler):
    def get(self):
        self.set_header("Content-Type", "application/json")
        self.finish(b'{"hello":"world"}')

async def main():
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    application = tornado.web.Application([("/.*", Handler)], log_function=lambda handler: None)
    tornado.httpserver.HTTPServer(application).add_sockets(sockets)
    print(sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@contextmanager
def bare_tornado() -> Iterator[int]:
    """Serve a bare handler and yield its port."""
    with subprocess.Popen([sys.executable, "-c", _BARE], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.terminate()


@contextmanager
def hub_with_plugins() -> Iterator[HubProcess]:
    """Start a hub with a quick plugin of either protocol."""
    with tempfile.TemporaryDirectory(prefix="toru-bench-") as folder:
        process = HubProcess(Path(folder))
        for name in ("quick-v1", "quick-v2"):
            shutil.copy(QUICK_PLUGIN, process.plugins_dir / f"{name}.binary")
            (process.plugins_dir / f"{name}.binary").chmod(0o755)
        with process as hub:
            wait_until(lambda: _all_ready(hub), what="the plugins' start")
            yield hub


def _all_ready(hub: HubProcess) -> bool:
    found = hub.get("/api/plugins")
    return len(found) == 2 and all(plugin["health"] == "healthy" for plugin in found)


def per_second(port: int, path: str, cookie: str) -> float:
    """Return the answers per second that one client process gets."""
    arguments = [str(port), path, cookie, str(CONNECTIONS), str(SECONDS)]
    command = [sys.executable, "-m", "bench.http_load", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)
    return float(done.stdout)


def main(rounds: int) -> int:
    """Measure in turns, print medians and the medians of the pairs' ratios."""
    with hub_with_plugins() as hub, bare_tornado() as bare_port:
        figures = measure_in_turns(
            {
                "bare": lambda: per_second(bare_port, "/hello", "session_id=none"),
                "health": lambda: per_second(hub.port, "/api/health", hub.cookie),
                "v2": lambda: per_second(hub.port, "/api/plugins/quick-v2/hello", hub.cookie),
                "v1": lambda: per_second(hub.port, "/api/plugins/quick-v1/hello", hub.cookie),
            },
            rounds,
        )
    rows = [
        Row("bare Tornado handler", rate(median(figures["bare"]))),
        _row("the hub's own /api/health", "health", figures),
        _row("forwarded, protocol 2", "v2", figures, budget=BUDGET),
        _row("forwarded, protocol 1", "v1", figures),
    ]
    kept = report(f"Forwarded requests, {CONNECTIONS} connections, {rounds} rounds", rows)
    return 0 if kept else 1


def _row(what: str, name: str, figures: dict[str, list[float]], budget: float | None = None) -> Row:
    pairs = zip(figures[name], figures["bare"], strict=True)
    ratio = median([ours / bare for ours, bare in pairs])
    return Row(what, rate(median(figures[name])), ratio, budget)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    sys.exit(main(parser.parse_args().rounds))
