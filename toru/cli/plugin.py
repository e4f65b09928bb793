"""``toru plugin …``: the words for people who write plugins.

Runs on: the main thread; what the commands do is imported when it is needed.
"""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from toru.cli.options import Url, Username

app = typer.Typer(
    help="Write plugins, and install them.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


PluginsDir = Annotated[
    Path | None,
    typer.Option(
        "--plugins-dir",
        metavar="DIR",
        help="The hub's plugins folder. (default: TORU_PLUGINS_DIR, else ./plugins)",
        show_default=False,
    ),
]


@app.callback()
def _group() -> None:
    """Write plugins, and install them."""


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Its id: letters, digits and hyphens.")],
    lang: Annotated[
        str, typer.Option("--lang", "-l", help="python, bash or rust.", show_default=True)
    ] = "python",
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            "-d",
            metavar="DIR",
            help="The folder that gets the new one. (default: the current one)",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Make the folder of a new plugin that builds, runs and passes its own test.

    Nothing that exists is touched.

    For example:

        toru plugin new disk-guard

        toru plugin new disk-guard --lang bash --dir ~/plugins
    """
    from toru.cli.plugin_new import make_plugin

    made = make_plugin(name, lang, folder or Path())
    print(f"{made}")
    print(f"  toru plugin dev {quote(str(made))}     run it, and again whenever you save a file")
    print(f"  toru plugin test {quote(str(made))}    run its tests")
    print(f"  toru plugin build {quote(str(made))}   make one file of it for a hub")


@app.command()
def dev(
    source: Annotated[
        Path, typer.Argument(metavar="DIR|FILE", help="The plugin's folder, or its .binary file.")
    ],
    port: Annotated[
        int, typer.Option("--port", "-p", min=0, max=65535, help="Where the hub listens; 0: free.")
    ] = 0,
) -> None:
    """Run a plugin in a hub of its own, and again whenever a file of it is saved.

    What the plugin logs, its states and what is wrong with a build are shown
    as they come. A build that fails leaves the one before running. Ctrl-C
    ends the plugin and the hub; nothing of them is left.

    For example:

        toru plugin dev plugins/hello-plugin-python
    """
    from toru.cli.plugin_dev import develop

    raise typer.Exit(develop(source, port))


@app.command()
def test(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The plugin's source folder.")],
) -> None:
    """Run a plugin's own tests: tests/test_….py, or an executable named test.

    The library for plugins is on the path; nothing need be installed.

    For example:

        toru plugin test plugins/disk-guard
    """
    from toru.cli.plugin_test import run_tests

    raise typer.Exit(run_tests(folder))


@app.command()
def build(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The plugin's source folder.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The file to make, or the folder that gets it. (default: beside DIR)",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Make one executable .binary file of a source folder, and try it.

    The folder holds plugin.py (or main.py, or __main__.py) and whatever it
    needs beside it; or Cargo.toml and a program in Rust; or an executable
    named build, which is run with the path of the file to make. What is made
    of Python needs nothing but python3 where it runs, of Rust nothing.

    For example:

        toru plugin build plugins/hello-plugin-python

        toru plugin build ~/my-plugin -o /srv/toru/plugins
    """
    from toru.cli.plugin_build import build_plugin

    built = build_plugin(folder, out)
    print(f"{built.path}")
    print(f"  id     {built.metadata.id}")
    print(f"  route  {built.metadata.route}")
    print(f"  size   {built.size_bytes:,} bytes")


@app.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The plugin's executable.")
    ] = None,
    only: Annotated[
        str, typer.Option(metavar="PATTERN", help="Only cases named so, as `v2-cancel*` or `kv`.")
    ] = "",
    get: Annotated[
        str, typer.Option("--get", metavar="/PATH", help="The path that is asked for.")
    ] = "/",
    stream: Annotated[
        str, typer.Option(metavar="/PATH", help="A path with a long answer or an event stream.")
    ] = "",
    websocket: Annotated[
        str, typer.Option(metavar="/PATH", help="A path that takes a WebSocket.")
    ] = "",
    timeout: Annotated[
        float,
        typer.Option(min=0.1, max=30.0, metavar="SECONDS", help="How long an answer may take."),
    ] = 5.0,
    settings: Annotated[
        Path | None,
        typer.Option(metavar="JSON-FILE", help="Values for the plugin's settings, an object."),
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="List the cases; FILE may be left out.")] = (
        False
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Check that a plugin keeps to the protocol, in the versions that it announces.

    It is started as the hub does, on a temporary folder, with its keys in
    memory. Requests are GETs of one path, and others only to paths that no
    plugin has; so nothing of what it looks after is changed. Of each case that
    fails the report says what was sent, expected and got.

    Exit codes: 0 all is well (what a plugin should do, but need not, may be
    missing); 1 something is wrong; 2 it cannot be run.

    For example:

        toru plugin check plugins/hello-plugin-python.binary

        toru plugin check my.binary --get /api/list --stream /events --websocket /chat

        toru plugin check my.binary --only v2-cancel --json
    """
    from toru.cli import plugin_check
    from toru.plugin_check.model import Setting

    if show:
        raise typer.Exit(plugin_check.list_cases(only, as_json=as_json))
    if file is None:
        raise typer.BadParameter("name the plugin's executable.", param_hint="FILE")
    setting = Setting(
        file,
        Path(),
        timeout_s=timeout,
        get_path=get,
        stream_path=stream,
        socket_path=websocket,
        values={} if settings is None else plugin_check.read_values(settings),
    )
    raise typer.Exit(plugin_check.check(setting, only=only, as_json=as_json))


@app.command()
def install(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The plugin's executable.")],
    sha256: Annotated[
        str | None,
        typer.Option(
            metavar="HEX",
            help="The checksum that it must have; else nothing is done.",
            show_default=False,
        ),
    ] = None,
    plugins_dir: PluginsDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    url: Url = None,
    username: Username = None,
) -> None:
    """Install a plugin, or a new version of one, without a moment in which it is not there.

    The new version is started beside the old one. Once it is ready, requests
    go to it, and the old one ends after those that it has. When it does not get
    ready, all is as it was. The checksum of what is installed is kept: the
    hub runs no other file in its place. So is the version before, for
    `toru plugin rollback`.

    Whoever installs needs write access to the hub's plugins folder, and logs
    in as the admin (TORU_PASSWORD or ADMIN_PASSWORD, else it is asked for). When
    no hub runs, the file is put in place for its next start.

    Exit codes: 0 it is installed, or was already; 1 it is not, and all is as it
    was; 2 what was asked is wrong; 125 the hub cannot be asked.

    For example:

        toru plugin install disk-guard.binary

        toru plugin install disk-guard.binary --sha256 "$(cut -c1-64 disk-guard.sha256)"
    """
    from toru.cli import plugin_install

    raise typer.Exit(
        plugin_install.install(
            file, sha256=sha256, folder=plugins_dir, url=url, username=username, as_json=as_json
        )
    )


@app.command()
def rollback(
    plugin: Annotated[str, typer.Argument(metavar="ID", help="The plugin's id.")],
    plugins_dir: PluginsDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    url: Url = None,
    username: Username = None,
) -> None:
    """Bring back the version of a plugin that was there before the last install.

    It is started beside the present one, as by `toru plugin install`. A
    second rollback brings back the newer version.

    For example:

        toru plugin rollback disk-guard
    """
    from toru.cli import plugin_install

    raise typer.Exit(
        plugin_install.roll_back(
            plugin, folder=plugins_dir, url=url, username=username, as_json=as_json
        )
    )


@app.command()
def remove(
    plugin: Annotated[str, typer.Argument(metavar="ID", help="The plugin's id.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    plugins_dir: PluginsDir = None,
) -> None:
    """Take a plugin out of the plugins folder; a hub that runs ends it.

    The version before goes too. The plugin's keys, logs and data folder stay.

    For example:

        toru plugin remove disk-guard
    """
    from toru.cli import plugin_install

    raise typer.Exit(plugin_install.remove(plugin, folder=plugins_dir, yes=yes))
