"""The command line's words and their help; what they do is imported when it is needed.

Runs on: the main thread. ``toru serve`` must start fast, so nothing heavy is imported here.
"""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from toru import __version__
from toru.cli import license as license_words
from toru.cli import plugin
from toru.cli.options import Url, Username
from toru.errors import ConfigError, ToruError

app = typer.Typer(
    name="toru",
    help="Run scripts on your own server from the browser or from here, and watch them live.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(plugin.app, name="plugin")
app.add_typer(license_words.app, name="license")

State = Literal["queued", "running", "finished", "failed", "cancelled", "interrupted"]


def main() -> int:
    """Run the command line of this process and return its exit code."""
    try:
        app(prog_name="toru")
    except ToruError as error:
        typer.echo(f"toru: {error.sentence}", err=True)
        return 2 if isinstance(error, ConfigError) else getattr(error, "exit_code", 1)
    except KeyboardInterrupt:
        return 130
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    return 0


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"toru {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    del version


@app.command()
def serve(
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            "-H",
            help="Address to listen on. (default: STEERING_HOST, else 127.0.0.1)",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            "-p",
            help="Port to listen on. (default: STEERING_PORT, else 3000)",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Start the hub and serve until it is stopped (Ctrl-C, SIGTERM or: toru stop).

    Everything else is set by environment variables; ADMIN_PASSWORD is required.

    For example:

        ADMIN_PASSWORD='…' toru serve

        ADMIN_PASSWORD='…' toru serve -H 0.0.0.0 -p 8080
    """
    from toru.cli.serve import run_hub

    raise typer.Exit(run_hub(host, port))


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="File name of a script, as `backup.sh`.")],
    follow: Annotated[
        bool, typer.Option(help="Show the output and wait; otherwise print the run's id.")
    ] = True,
    arg: Annotated[
        list[str] | None,
        typer.Option("--arg", "-a", metavar="KEY=VALUE", help="A parameter; may be repeated."),
    ] = None,
    url: Url = None,
    username: Username = None,
) -> None:
    """Run a script on the hub, show its output as it comes, exit with its exit code.

    The password comes from TORU_PASSWORD (for the admin also ADMIN_PASSWORD)
    or is asked for; the session is kept for the next call. Ctrl-C asks whether
    to cancel the run or to leave it running.

    Exit codes: the script's own; 128+N when signal N ended it; 125 when Toru
    could not run it.

    For example:

        toru run disk-usage.sh

        toru run backup.sh --arg target=/srv/backup --no-follow

        toru run report.sh --url https://toru.example.org -u anna > report.txt
    """
    from toru.cli.run import run_script

    raise typer.Exit(run_script(name, arg or [], follow=follow, url=url, username=username))


@app.command()
def attach(
    task_id: Annotated[str, typer.Argument(help="Id of a run, as `toru tasks` shows it.")],
    offset: Annotated[int, typer.Option(min=0, help="Byte of the output to begin at.")] = 0,
    url: Url = None,
    username: Username = None,
) -> None:
    """Show the output of a run that goes on or has ended, and exit with its exit code.

    For example:

        toru attach 019ac8e2-7f3e-7cc1-b0a5-3b1d2f4c5e6f
    """
    from toru.cli.run import attach_to_run

    raise typer.Exit(attach_to_run(task_id, offset, url=url, username=username))


@app.command()
def tasks(
    state: Annotated[
        State | None, typer.Option(help="Only runs in this state.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    url: Url = None,
    username: Username = None,
) -> None:
    """List the newest runs, those that are running among them.

    For example:

        toru tasks

        toru tasks --state running

        toru tasks --json -n 100 | jq '.[] | select(.exit_code != 0)'
    """
    from toru.cli.tasks import show_tasks

    raise typer.Exit(show_tasks(state, limit, as_json=as_json, url=url, username=username))


@app.command()
def stop(
    everything: Annotated[
        bool, typer.Option("--all", help="End the scripts that run, and the runner, too.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask before ending runs.")
    ] = False,
) -> None:
    """Stop the hub of this data folder (TORU_DATA_DIR, else ./var). Scripts run on.

    A hub that is started again finds the runs that went on, and what they
    wrote meanwhile.

    For example:

        toru stop

        toru stop --all --yes
    """
    from toru.cli.stop import stop_hub

    raise typer.Exit(stop_hub(everything=everything, yes=yes))
