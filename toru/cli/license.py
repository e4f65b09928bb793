"""``toru license …``: licences for plugins that are sold.

Runs on: the main thread; what the commands do is imported when it is needed.
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from toru.errors import ToruError

app = typer.Typer(
    help="Make and verify licences for plugins that are sold. Nothing of it needs a network.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Instance = Annotated[
    str,
    typer.Option(
        "--instance",
        "-i",
        metavar="UUID",
        help="Id of the installation: the setting instance_id of the customer's hub.",
    ),
]
PluginId = Annotated[str, typer.Option("--plugin", "-p", metavar="ID", help="Id of the plugin.")]


class WrongCall(ToruError):
    """The call cannot be done; the exit code tells it from a licence that does not hold."""

    exit_code = 2


@app.command()
def keygen(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="The private key's file.")
    ] = Path("license.key"),
    force: Annotated[
        bool, typer.Option("--force", help="Replace a key that is there already.")
    ] = False,
) -> None:
    """Make a key to sign licences with, and print its public key.

    The private key stays with you: whoever has it can make licences. Only you
    can read the file (mode 0600). The public key goes into your plugin's code.

    For example:

        toru license keygen -o ~/keys/disk-guard.key
    """
    from toru.cli import license_keys

    print(license_keys.make(out, replace=force))
    print(f"toru: the private key is in {out}; keep a copy in a safe place.", file=sys.stderr)


@app.command()
def issue(
    instance: Instance,
    plugin: PluginId,
    expires: Annotated[
        str,
        typer.Option(
            "--expires", "-e", metavar="DATE", help="Its last day, as 2027-12-31; or: never."
        ),
    ],
    key: Annotated[
        Path, typer.Option("--key", "-k", metavar="FILE", help="The private key's file.")
    ] = Path("license.key"),
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="Who it is given to.")] = "",
) -> None:
    """Sign a licence, and print it: one line of text, to be sent to the customer.

    It holds for one plugin on one installation, up to the end of its last day
    in UTC.

    For example:

        toru license issue -k disk-guard.key -p disk-guard -i 7d4f1c1e-… -e 2027-12-31

        toru license issue -k disk-guard.key -p disk-guard -i 7d4f1c1e-… -e never --to 'Anna Ltd'
    """
    from toru.cli import license_keys
    from toru.domain import license as licenses

    wanted = licenses.License(instance, plugin, _last_day(expires), to)
    print(licenses.write(wanted, license_keys.load(key).sign))


@app.command()
def verify(
    license_: Annotated[
        str, typer.Argument(metavar="LICENSE", help="The licence, a file that holds it, or -.")
    ],
    public_key: Annotated[
        str,
        typer.Option("--public-key", "-k", metavar="KEY", help="As keygen has printed it."),
    ],
    instance: Instance,
    plugin: PluginId,
) -> None:
    """Say whether a licence holds, just as the plugin will decide.

    Exit codes: 0 it holds; 1 it does not, and a sentence says why; 2 the call
    was wrong.

    For example:

        toru license verify license.txt -p disk-guard -i 7d4f1c1e-… -k 11qYAYKx…
    """
    from toru.cli import license_keys
    from toru.domain import license as licenses

    found = licenses.read(
        _text_of(license_),
        lambda message, signature: license_keys.is_signed(public_key, message, signature),
    )
    licenses.judge(found, instance=instance, plugin=plugin, today=_today())
    end = "and does not end" if found.expires is None else f"until {found.expires}"
    print(f"The licence{f' of {found.to}' if found.to else ''} holds {end}.")


def _today() -> date:
    return datetime.now(UTC).date()


def _last_day(text: str) -> date | None:
    from toru.domain import license as licenses

    if text == "never":
        return None
    try:
        day = licenses.day_of(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text} is no date as 2027-12-31, nor never.", param_hint="--expires"
        ) from None
    if day < _today():
        raise WrongCall(f"The {day} is over: this licence would never hold.")
    return day


def _text_of(given: str) -> str:
    """Return a licence that is given as text, as a file, or on the standard input."""
    from toru.domain import license as licenses

    if given == "-":
        return sys.stdin.read(licenses.MAX_CHARACTERS * 2)
    if given.lstrip().startswith(f"{licenses.PREFIX}."):
        return given
    try:
        with Path(given).open(encoding="utf-8", errors="replace") as file:
            return file.read(licenses.MAX_CHARACTERS * 2)
    except OSError as error:
        raise WrongCall(f"{given} cannot be read: {error.strerror}.") from None
