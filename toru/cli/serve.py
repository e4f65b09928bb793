"""``toru serve``: read the configuration, then be the hub until it is stopped.

Runs on: the main thread.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket

from toru.cli.pidfile import hold
from toru.config import Config, load_config
from toru.errors import ConfigError
from toru.log import logging_to

log = logging.getLogger(__name__)

_SECRET_VARIABLES = ("ADMIN_PASSWORD", "DATABASE_URL")


def run_hub(host: str | None, port: int | None) -> int:
    """Serve until the hub is stopped.

    Args:
        host: the flag ``-H``, if it was given.
        port: the flag ``-p``, if it was given.

    Returns:
        The exit code.

    Raises:
        ConfigError: the configuration or the machine does not allow a start.
    """
    config = load_config(os.environ, host=host, port=port)
    for name in _SECRET_VARIABLES:
        os.environ.pop(name, None)  # so that no child can inherit them
    check_address(config.host, config.port)
    with hold(config.data_dir):
        try:
            logs = logging_to(config.log_dir, config.log_level)
            with logs:
                return _serve(config)
        except OSError as error:
            raise _refusal(error, config) from error


def _serve(config: Config) -> int:
    from toru.app import serve

    for sentence in config.warnings:
        log.warning(sentence)
    return asyncio.run(serve(config))


def check_address(host: str, port: int) -> None:
    """Find out before anything is started whether the hub could listen there.

    Raises:
        ConfigError: it could not.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror:
        raise ConfigError(f"The address {host!r} is not known on this machine.") from None
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            raise ConfigError(_address_sentence(error, host, port)) from None


def _address_sentence(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"Port {port} on {host} is taken by another program; "
                "choose another with -p or STEERING_PORT."
            )
        case errno.EACCES:
            return f"Port {port} may not be used without special rights; choose one over 1023."
        case errno.EADDRNOTAVAIL:
            return f"The address {host!r} is not one of this machine's."
        case _:
            return f"The hub cannot listen on {host} port {port}: {error.strerror}."


def _refusal(error: OSError, config: Config) -> Exception:
    """Return what the start fails with: a sentence where a person can do something about it."""
    if error.errno == errno.EADDRINUSE:
        return ConfigError(_address_sentence(error, config.host, config.port))
    return error
