"""``toru plugin …``: the words for people who write plugins.

Runs on: the main thread; what the commands do is imported when it is needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Write plugins.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _group() -> None:
    """Write plugins."""


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
    needs beside it; or an executable named build, which is run with the path
    of the file to make. The file needs nothing but python3 where it runs.

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
