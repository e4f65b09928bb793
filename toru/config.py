"""The configuration of the hub, read once from flags and environment, and the folders it names.

Runs on: the main thread, before anything else has started.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from toru.domain.passwords import check_display_name, check_password, check_username
from toru.errors import BadRequest, ConfigError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 3000
SYSTEM_LOG_DIR = Path("/var/log/toru")

_LEVELS = {
    "error": "error",
    "warn": "warning",
    "warning": "warning",
    "info": "info",
    "debug": "debug",
    "trace": "debug",
}
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"", "0", "false", "no", "off"}
_DATABASE_SCHEMES = {"sqlite", "postgres", "postgresql"}
_HOST_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")


class Secret:
    """A text that neither ``repr()`` nor ``str()`` nor a log line shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('…')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All that a person can choose about the hub before it starts. Paths are absolute.

    Attributes:
        admin_username: the name that the admin logs in with.
        admin_display_name: the name that the dashboard shows for the admin.
        admin_password: the admin's password.
        host: the address to bind, without brackets.
        port: the port to bind; 0 lets the system choose a free one.
        secure_cookies: whether cookies are ``Secure`` and HSTS is sent.
        trust_proxy: the proxies whose forwarded client address is believed.
        allowed_hosts: Host names served besides loopback and the bind address, lower case.
        data_dir: the database, the runs' output and the runner's state.
        database_url: where the tables are; may hold a password, so ``repr()`` leaves it out.
        scripts_dir: the first value of the setting ``scripts_dir``.
        plugins_dir: the plugins' binaries.
        socket_dir: the plugins' sockets.
        plugin_backoff: a factor for the pauses before a plugin that failed is started again; None
            is 1, give or take 20 % so that plugins that fell together rise apart.
        plugin_healthy_s: seconds of good health after which a plugin's failures are forgotten;
            None is 60.
        plugin_look_s: seconds between two looks at the folder of the plugins; None is 1.
        log_dir: the folder of the logs, already known to be writable.
        log_level: ``error``, ``warning``, ``info`` or ``debug``.
        warnings: sentences that the start shows, once each.
    """

    admin_username: str
    admin_display_name: str
    admin_password: Secret
    host: str
    port: int
    secure_cookies: bool
    trust_proxy: tuple[Network, ...]
    allowed_hosts: frozenset[str]
    data_dir: Path
    database_url: str = field(repr=False)
    scripts_dir: Path
    plugins_dir: Path
    socket_dir: Path
    plugin_backoff: float | None
    plugin_healthy_s: float | None
    plugin_look_s: float | None
    log_dir: Path
    log_level: str
    warnings: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The address of the dashboard as a person on this machine would type it."""
        host = {"0.0.0.0": DEFAULT_HOST, "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def load_config(
    environ: Mapping[str, str], *, host: str | None = None, port: int | None = None
) -> Config:
    """Read the configuration and make the folders that it names.

    Args:
        environ: the environment, as ``os.environ``.
        host: the flag ``-H``, which wins over ``STEERING_HOST``.
        port: the flag ``-p``, which wins over ``STEERING_PORT``.

    Raises:
        ConfigError: a value is missing or wrong, or a folder cannot be made or written.
    """
    password = _admin_password(environ)
    chosen_host = _host(environ if host is None else {"STEERING_HOST": host})
    chosen_port = _port(environ) if port is None else _checked_port(str(port), "The flag --port")
    data_dir = data_dir_of(environ)
    database_url = _database_url(environ, data_dir)
    settings = Config(
        admin_username=_name(environ, "ADMIN_USERNAME", "admin", check_username),
        admin_display_name=_name(
            environ, "ADMIN_DISPLAY_NAME", "Administrator", check_display_name
        ),
        admin_password=password,
        host=chosen_host,
        port=chosen_port,
        secure_cookies=_flag(environ, "PRODUCTION") or _flag(environ, "SECURE_COOKIES"),
        trust_proxy=_networks(environ),
        allowed_hosts=_allowed_hosts(environ),
        data_dir=data_dir,
        database_url=database_url,
        scripts_dir=_folder_to_read(environ, "SCRIPTS_DIR", "scripts"),
        plugins_dir=plugins_dir_of(environ),
        socket_dir=_path(environ, "TORU_SOCKET_DIR") or data_dir / "run",
        plugin_backoff=_number(environ, "TORU_PLUGIN_BACKOFF", 0.0, 100.0),
        plugin_healthy_s=_number(environ, "TORU_PLUGIN_HEALTHY_S", 0.0, 86_400.0),
        plugin_look_s=_number(environ, "TORU_PLUGIN_LOOK_S", 0.05, 3600.0),
        log_dir=_path(environ, "TORU_LOG_DIR") or SYSTEM_LOG_DIR,
        log_level=_log_level(environ),
    )
    return _with_folders(settings)


def data_dir_of(environ: Mapping[str, str]) -> Path:
    """Return the absolute path of the data folder, whether or not it exists."""
    return _path(environ, "TORU_DATA_DIR") or Path.cwd() / "var"


def plugins_dir_of(environ: Mapping[str, str]) -> Path:
    """Return the absolute path of the plugins folder, whether or not it exists. ConfigError."""
    return _folder_to_read(environ, "TORU_PLUGINS_DIR", "plugins")


def static_dir() -> Path:
    """Return the folder of the dashboard: the checkout's ``static/``, else the wheel's copy."""
    package = Path(__file__).resolve().parent
    checkout = package.parent / "static"
    is_checkout = (package.parent / "setup.cfg").is_file() and checkout.is_dir()
    return checkout if is_checkout else package / "_static"


def _admin_password(environ: Mapping[str, str]) -> Secret:
    text = environ.get("ADMIN_PASSWORD", "")
    if not text:
        raise ConfigError(
            "ADMIN_PASSWORD is not set; choose the admin's password, "
            "for example: ADMIN_PASSWORD='…' toru serve"
        )
    return Secret(text)


def _password_warnings(secret: Secret) -> list[str]:
    try:
        check_password(secret.reveal())
    except BadRequest as error:
        return [f"ADMIN_PASSWORD is weak: {error.sentence}"]
    return []


def _host(environ: Mapping[str, str]) -> str:
    host = environ.get("STEERING_HOST", "").strip() or DEFAULT_HOST
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not _HOST_NAME.fullmatch(host.lower()):
            raise ConfigError(
                f"STEERING_HOST must be an address or a host name, without a port; not {host!r}."
            ) from None
    return host


def _port(environ: Mapping[str, str]) -> int:
    text = environ.get("STEERING_PORT", "").strip()
    return _checked_port(text, "STEERING_PORT") if text else DEFAULT_PORT


def _checked_port(text: str, source: str) -> int:
    if re.fullmatch(r"[0-9]{1,5}", text) and int(text) <= 65535:
        return int(text)
    raise ConfigError(f"{source} must be a whole number from 0 to 65535, not {text!r}.")


def _flag(environ: Mapping[str, str], name: str) -> bool:
    text = environ.get(name, "").strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ConfigError(f"{name} must be 1, true, 0 or false, not {environ[name]!r}.")


def _number(environ: Mapping[str, str], name: str, least: float, most: float) -> float | None:
    text = environ.get(name, "").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not least <= number <= most:
        raise ConfigError(f"{name} must be a number from {least:g} to {most:g}, not {text!r}.")
    return number


def _name(
    environ: Mapping[str, str], variable: str, default: str, check: Callable[[str], None]
) -> str:
    name = environ.get(variable, "").strip() or default
    try:
        check(name)
    except BadRequest as error:
        raise ConfigError(f"{variable} cannot be used: {error.sentence}") from None
    return name


def _items(environ: Mapping[str, str], variable: str) -> list[str]:
    return [item.strip() for item in environ.get(variable, "").split(",") if item.strip()]


def _networks(environ: Mapping[str, str]) -> tuple[Network, ...]:
    networks = []
    for item in _items(environ, "TRUST_PROXY"):
        try:
            networks.append(ipaddress.ip_network(item, strict=False))
        except ValueError:
            raise ConfigError(
                "TRUST_PROXY must be a comma list of addresses or networks "
                f"such as 127.0.0.1 or 10.0.0.0/8; {item!r} is neither."
            ) from None
    return tuple(networks)


def _allowed_hosts(environ: Mapping[str, str]) -> frozenset[str]:
    hosts = {item.lower().removesuffix(".") for item in _items(environ, "TORU_ALLOWED_HOSTS")}
    for host in sorted(hosts):
        if not _HOST_NAME.fullmatch(host) and not _is_address(host):
            raise ConfigError(
                "TORU_ALLOWED_HOSTS must be a comma list of host names without ports, "
                f"such as toru.example.org; {host!r} is none."
            )
    return frozenset(hosts)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _path(environ: Mapping[str, str], variable: str) -> Path | None:
    text = environ.get(variable, "")
    if not text.strip():
        return None
    if "\0" in text:
        raise ConfigError(f"{variable} must be a path without NUL characters.")
    try:
        return Path.cwd() / Path(text).expanduser()
    except RuntimeError:
        raise ConfigError(
            f"{variable} names the home folder of a user who does not exist."
        ) from None


def _folder_to_read(environ: Mapping[str, str], variable: str, default: str) -> Path:
    path = _path(environ, variable) or Path.cwd() / default
    try:
        if path.exists() and not path.is_dir():
            raise ConfigError(f"{variable} must name a folder; {str(path)!r} is a file.")
    except OSError as error:
        raise ConfigError(f"{variable} cannot be used: {os.strerror(error.errno or 0)}.") from None
    return path


def _database_url(environ: Mapping[str, str], data_dir: Path) -> str:
    url = environ.get("DATABASE_URL", "").strip()
    if not url:
        return f"sqlite:///{data_dir / 'steering.db'}"
    scheme = url.partition(":")[0].lower()
    if scheme not in _DATABASE_SCHEMES:
        # The value is not quoted: it may hold the database's password.
        raise ConfigError("DATABASE_URL must start with sqlite:/// or postgresql://.")
    return url


def _log_level(environ: Mapping[str, str]) -> str:
    text = environ.get("TORU_LOG_LEVEL", "").strip().lower()
    if not text:
        return _level_from_rust_log(environ.get("RUST_LOG", ""))
    if text not in _LEVELS:
        raise ConfigError(
            f"TORU_LOG_LEVEL must be error, warn, info, debug or trace, not {text!r}."
        )
    return _LEVELS[text]


def _level_from_rust_log(text: str) -> str:
    """Read ``toru=debug,info`` as far as it says something about Toru; the rest is tolerated."""
    level = "info"
    directives = [item.strip().lower().partition("=") for item in text.split(",")]
    for name, equals, _ in directives:
        if not equals:
            level = _LEVELS.get(name, level)
    for name, _, value in directives:
        if name == "toru":
            level = _LEVELS.get(value, level)
    return level


def _with_folders(config: Config) -> Config:
    """Make the folders of a configuration and return it with the log folder that works."""
    warnings = _password_warnings(config.admin_password)
    _make_folder(config.data_dir, 0o700, "The data folder", "TORU_DATA_DIR")
    if config.data_dir.stat().st_mode & 0o077:
        warnings.append(
            f"The data folder {str(config.data_dir)!r} is open to other users of this machine; "
            f"better is: chmod 700 {config.data_dir}"
        )
    _make_folder(config.socket_dir, 0o700, "The socket folder", "TORU_SOCKET_DIR")
    log_dir = config.log_dir
    try:
        _make_folder(log_dir, 0o750, "The log folder", "TORU_LOG_DIR")
    except ConfigError as error:
        log_dir = config.data_dir / "logs"
        _make_folder(log_dir, 0o750, "The log folder", "TORU_LOG_DIR")
        warnings.append(f"{error.sentence.removesuffix('.')}; logs go to {str(log_dir)!r}.")
    return replace(config, log_dir=log_dir, warnings=tuple(warnings))


def _make_folder(path: Path, mode: int, what: str, variable: str) -> None:
    """Make a folder (its parents as the umask says) and prove that files can be made in it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_dir():
            path.mkdir(mode=mode)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigError(
            f"{what} {str(path)!r} cannot be written ({reason}); set {variable} to one that can."
        ) from None
