"""What the configuration takes, refuses and makes on disk."""

from __future__ import annotations

import ipaddress
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from toru import config as config_module
from toru.config import Config, Secret, load_config, static_dir
from toru.errors import ConfigError

STRONG = "Correct-Horse-7"


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The least that a start needs, in a folder of its own, away from /var/log."""
    monkeypatch.chdir(tmp_path)
    return {"ADMIN_PASSWORD": STRONG, "TORU_LOG_DIR": str(tmp_path / "logs")}


def test_defaults_are_those_of_the_documentation(environ: dict[str, str], tmp_path: Path) -> None:
    config = load_config(environ)
    assert (config.host, config.port, config.url) == ("127.0.0.1", 3000, "http://127.0.0.1:3000")
    assert (config.admin_username, config.admin_display_name) == ("admin", "Administrator")
    assert config.admin_password.reveal() == STRONG
    assert config.data_dir == tmp_path / "var"
    assert config.database_url == f"sqlite:///{tmp_path}/var/steering.db"
    assert config.scripts_dir == tmp_path / "scripts"
    assert config.plugins_dir == tmp_path / "plugins"
    assert config.socket_dir == tmp_path / "var/run"
    assert config.log_level == "info"
    assert not config.secure_cookies
    assert config.trust_proxy == ()
    assert config.allowed_hosts == frozenset()
    assert config.warnings == ()


def test_flags_win_over_the_environment(environ: dict[str, str]) -> None:
    environ |= {"STEERING_HOST": "0.0.0.0", "STEERING_PORT": "8080"}
    assert (load_config(environ).host, load_config(environ).port) == ("0.0.0.0", 8080)
    config = load_config(environ, host="::1", port=9000)
    assert (config.host, config.port, config.url) == ("::1", 9000, "http://[::1]:9000")


@pytest.mark.parametrize(("host", "url"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]")])
def test_the_url_of_a_wildcard_address_is_one_that_a_browser_can_open(
    environ: dict[str, str], host: str, url: str
) -> None:
    assert load_config(environ, host=host).url == f"http://{url}:3000"


def test_folders_are_made_private(environ: dict[str, str], tmp_path: Path) -> None:
    config = load_config(environ | {"TORU_DATA_DIR": "deep/er/data"})
    assert config.data_dir == tmp_path / "deep/er/data"
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (config.data_dir, config.socket_dir)]
    assert modes == [0o700, 0o700]
    assert stat.S_IMODE(config.log_dir.stat().st_mode) == 0o750


def test_a_data_folder_that_others_can_read_is_warned_about(
    environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "var").mkdir(mode=0o755)
    assert "chmod 700" in load_config(environ).warnings[0]


def test_nothing_shows_the_secrets(environ: dict[str, str]) -> None:
    url = "postgresql://toru:s3cret@localhost/toru"
    config = load_config(environ | {"DATABASE_URL": url})
    shown = f"{config!r} {config.admin_password} {config.admin_password!r}"
    assert STRONG not in shown
    assert "s3cret" not in shown
    assert config.database_url == url


def test_secrets_compare_by_their_text() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert hash(Secret("a")) == hash(Secret("a"))


@pytest.mark.parametrize("password", ["x", "alllowercase1!", "NoSpecial1", "Sh0rt!"])
def test_a_weak_admin_password_is_accepted_with_a_warning(
    environ: dict[str, str], password: str
) -> None:
    config = load_config(environ | {"ADMIN_PASSWORD": password})
    assert config.admin_password.reveal() == password
    assert "weak" in config.warnings[0]
    assert password not in " ".join(config.warnings).split()


@pytest.mark.parametrize("name", ["PRODUCTION", "SECURE_COOKIES"])
@pytest.mark.parametrize(
    ("value", "secure"),
    [("1", True), ("true", True), ("TRUE", True), ("yes", True), ("0", False), ("false", False)],
)
def test_either_switch_makes_cookies_secure(
    environ: dict[str, str], name: str, value: str, secure: bool
) -> None:
    assert load_config(environ | {name: value}).secure_cookies is secure


def test_proxies_are_addresses_or_networks(environ: dict[str, str]) -> None:
    config = load_config(environ | {"TRUST_PROXY": " 127.0.0.1, 10.0.0.0/8 ,::1,"})
    assert config.trust_proxy == (
        ipaddress.ip_network("127.0.0.1/32"),
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_network("::1/128"),
    )


def test_allowed_hosts_are_compared_in_lower_case(environ: dict[str, str]) -> None:
    config = load_config(environ | {"TORU_ALLOWED_HOSTS": "Toru.Example.org., other"})
    assert config.allowed_hosts == {"toru.example.org", "other"}


@pytest.mark.parametrize(
    ("variables", "level"),
    [
        ({"TORU_LOG_LEVEL": "DEBUG"}, "debug"),
        ({"TORU_LOG_LEVEL": "warn", "RUST_LOG": "debug"}, "warning"),
        ({"RUST_LOG": "debug"}, "debug"),
        ({"RUST_LOG": "toru=debug,info"}, "debug"),
        ({"RUST_LOG": "info,toru=trace,hyper=error"}, "debug"),
        ({"RUST_LOG": "hyper=debug"}, "info"),
        ({"RUST_LOG": "hyper=debug,error"}, "error"),
        ({"RUST_LOG": "toru=what,,=,"}, "info"),
    ],
)
def test_the_log_level_is_read_from_either_variable(
    environ: dict[str, str], variables: dict[str, str], level: str
) -> None:
    assert load_config(environ | variables).log_level == level


def test_a_log_folder_that_cannot_be_written_is_replaced_with_one_warning(
    environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    config = load_config(environ | {"TORU_LOG_DIR": str(tmp_path / "file/logs")})
    assert config.log_dir == tmp_path / "var/logs"
    assert len(config.warnings) == 1
    assert "file/logs" in config.warnings[0]


def test_logs_go_to_the_system_folder_when_none_is_named(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del environ["TORU_LOG_DIR"]
    monkeypatch.setattr(config_module, "SYSTEM_LOG_DIR", tmp_path / "system/toru")
    assert load_config(environ).log_dir == tmp_path / "system/toru"
    monkeypatch.setattr(config_module, "SYSTEM_LOG_DIR", Path("/proc/toru"))
    config = load_config(environ)
    assert config.log_dir == tmp_path / "var/logs"
    assert len(config.warnings) == 1


REFUSED = [
    ({"ADMIN_PASSWORD": ""}, "ADMIN_PASSWORD"),
    ({"STEERING_PORT": "http"}, "STEERING_PORT"),
    ({"STEERING_PORT": "65536"}, "STEERING_PORT"),
    ({"STEERING_PORT": "-1"}, "STEERING_PORT"),
    ({"STEERING_PORT": "٣٠٠٠"}, "STEERING_PORT"),
    ({"STEERING_HOST": "localhost:3000"}, "STEERING_HOST"),
    ({"STEERING_HOST": "a b"}, "STEERING_HOST"),
    ({"PRODUCTION": "maybe"}, "PRODUCTION"),
    ({"TRUST_PROXY": "proxy.example.org"}, "TRUST_PROXY"),
    ({"TRUST_PROXY": "10.0.0.0/99"}, "TRUST_PROXY"),
    ({"TORU_ALLOWED_HOSTS": "toru.example.org:443"}, "TORU_ALLOWED_HOSTS"),
    ({"TORU_ALLOWED_HOSTS": "*"}, "TORU_ALLOWED_HOSTS"),
    ({"DATABASE_URL": "mysql://root:s3cret@db/toru"}, "DATABASE_URL"),
    ({"TORU_LOG_LEVEL": "loud"}, "TORU_LOG_LEVEL"),
    ({"ADMIN_USERNAME": "ad\x1bmin"}, "ADMIN_USERNAME"),
    ({"ADMIN_DISPLAY_NAME": "x" * 151}, "ADMIN_DISPLAY_NAME"),
    ({"TORU_DATA_DIR": "/proc/toru"}, "TORU_DATA_DIR"),
    ({"TORU_DATA_DIR": "~no-such-user-here/data"}, "TORU_DATA_DIR"),
    ({"TORU_SOCKET_DIR": "/proc/toru"}, "TORU_SOCKET_DIR"),
    ({"SCRIPTS_DIR": "/dev/null"}, "SCRIPTS_DIR"),
    ({"SCRIPTS_DIR": "x" * 5000}, "SCRIPTS_DIR"),
]


@pytest.mark.parametrize(("variables", "named"), REFUSED)
def test_a_wrong_value_is_refused_with_one_sentence_that_names_it(
    environ: dict[str, str], variables: dict[str, str], named: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(environ | variables)
    assert named in caught.value.sentence
    assert "\n" not in caught.value.sentence
    assert "\x1b" not in caught.value.sentence
    assert "s3cret" not in caught.value.sentence


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_flag_out_of_range_is_refused(environ: dict[str, str], port: int) -> None:
    with pytest.raises(ConfigError, match="--port"):
        load_config(environ, port=port)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    code = (
        "import os, sys; from toru.config import load_config; from toru.errors import ConfigError\n"
        "os.setuid(65534)\n"
        "try: load_config({'ADMIN_PASSWORD': 'x', 'TORU_DATA_DIR': sys.argv[1]})\n"
        "except ConfigError as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "data")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert "Permission denied" in result.stdout
    assert result.stdout.count("\n") == 1


def test_a_configuration_cannot_be_changed(environ: dict[str, str]) -> None:
    config: Config = load_config(environ)
    with pytest.raises(AttributeError):
        config.port = 1  # type: ignore[misc]


def test_the_dashboard_of_a_checkout_is_beside_the_package() -> None:
    assert static_dir() == Path(config_module.__file__).parent.parent / "static"


def test_the_pauses_of_plugins_can_be_scaled(environ: dict[str, str]) -> None:
    assert load_config(environ).plugin_backoff is None
    assert load_config(environ | {"TORU_PLUGIN_BACKOFF": "0.5"}).plugin_backoff == 0.5
    for text in ("-1", "fast", "nan", "101"):
        with pytest.raises(ConfigError, match="TORU_PLUGIN_BACKOFF"):
            load_config(environ | {"TORU_PLUGIN_BACKOFF": text})


@pytest.mark.parametrize(
    ("name", "field", "wrong"),
    [
        ("TORU_PLUGIN_HEALTHY_S", "plugin_healthy_s", ["-1", "long", "inf", "86401"]),
        ("TORU_PLUGIN_LOOK_S", "plugin_look_s", ["0", "-1", "often", "nan", "3601"]),
    ],
)
def test_the_times_of_plugins_can_be_chosen(
    environ: dict[str, str], name: str, field: str, wrong: list[str]
) -> None:
    assert getattr(load_config(environ), field) is None
    assert getattr(load_config(environ | {name: "6"}), field) == 6.0
    for text in wrong:
        with pytest.raises(ConfigError, match=name):
            load_config(environ | {name: text})
