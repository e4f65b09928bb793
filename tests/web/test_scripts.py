"""The route of the scripts, on a real hub.

Runs on: pytest's main thread, against a hub in a process of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.hub import HubProcess
from tests.support.web import run_script, serving


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub for all tests of this file."""
    folder = tmp_path_factory.mktemp("scripts")
    with serving(folder, TORU_SECRET_TOKEN="hidden", AWS_SECRET="hidden") as hub:
        hub.script("b.bash", "#!/bin/bash\n# <b>Second</b>\necho b\n")
        hub.script("a.sh", "# Description: First\n# Parameter: WHO =world whom to greet\necho a\n")
        hub.script("notes.txt", "not a script\n")
        yield hub


def test_the_names_are_listed_sorted(hub: HubProcess) -> None:
    assert hub.get("/api/scripts") == ["a.sh", "b.bash"]
    assert hub.get("/api/scripts?detail=0") == ["a.sh", "b.bash"]


def test_the_details_have_what_the_headers_say(hub: HubProcess) -> None:
    assert hub.get("/api/scripts?detail=1") == [
        {
            "name": "a.sh",
            "description": "First",
            "parameters": ["WHO"],
            "parameter_details": [
                {"name": "WHO", "default": "world", "description": "whom to greet"}
            ],
        },
        {
            "name": "b.bash",
            "description": "<b>Second</b>",
            "parameters": [],
            "parameter_details": [],
        },
    ]


@pytest.mark.parametrize("query", ["detail=maybe", "detail=", "other=1", "detail=1&detail=0"])
def test_a_query_that_is_not_understood_is_refused(hub: HubProcess, query: str) -> None:
    answer = hub.http("GET", f"/api/scripts?{query}")
    assert answer.status == 400
    assert answer.json["error"].endswith(".")


def test_the_list_is_for_the_admin(hub: HubProcess) -> None:
    client = hub.add_client("paula")
    assert hub.http("GET", "/api/scripts", cookie=client).status == 403
    assert hub.http("GET", "/api/scripts", cookie="").status == 401


def test_a_script_sees_no_secret_and_three_descriptors_and_no_input(hub: HubProcess) -> None:
    hub.script("look.sh", "env\nls /proc/self/fd | tr '\\n' ' '\ncat\necho done\n")
    output = run_script(hub, "look.sh")["output"]
    names = {line.partition("=")[0] for line in output.splitlines() if "=" in line}
    allowed = {"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "USER", "LOGNAME", "SHELL", "TERM"}
    assert names - allowed <= {"PWD", "OLDPWD", "SHLVL", "_", "TORU_RUN_ID"}
    assert "hidden" not in output
    assert "Correct-horse" not in output
    # `ls` itself opens the folder that it lists: one descriptor more.
    assert "0 1 2 3 done" in output


def test_an_argument_reaches_the_script_as_a_variable_and_never_as_code(hub: HubProcess) -> None:
    hub.script("greet.sh", '# Parameter: WHO =world\nprintf "hi %s\\n" "$PARAM_WHO"\n')
    assert run_script(hub, "greet.sh")["output"] == "hi world\n"
    nasty = "$(touch /tmp/x); `id` \"' \n ü"
    run = run_script(hub, "greet.sh", WHO=nasty)
    assert run["output"] == f"hi {nasty}\n"
    assert run["args"] == {"WHO": nasty}


def test_arguments_that_are_not_declared_or_no_texts_are_refused(hub: HubProcess) -> None:
    for args in ({"NO": "x"}, {"PATH": "/tmp"}, {"WHO": "a\0b"}, {"WHO": "x" * 9000}, {"WHO": 1}):
        answer = hub.http("POST", "/api/tasks", {"script": "a.sh", "args": args})
        assert answer.status == 400, args
        assert answer.json["error"].endswith(".")


def test_what_is_no_script_is_refused_with_the_right_status(hub: HubProcess) -> None:
    os.mkfifo(hub.scripts_dir / "pipe.sh")
    (hub.scripts_dir / "folder.sh").mkdir()
    (hub.scripts_dir / "out.sh").symlink_to("/bin/sh")
    (hub.scripts_dir / "crlf.sh").write_bytes(b"#!/bin/sh\r\necho hi\r\n")
    cases = {
        "missing.sh": 404,
        "pipe.sh": 400,
        "folder.sh": 400,
        "out.sh": 403,
        "crlf.sh": 400,
        "../a.sh": 400,
        "-a.sh": 400,
        "a\n.sh": 400,
        "a\0.sh": 400,
        "": 400,
        "..": 400,
        "notes.txt": 400,
        "x" * 5000: 400,
    }
    before = len(hub.get("/api/history"))
    for name, status in cases.items():
        answer = hub.http("POST", "/api/tasks", {"script": name})
        assert answer.status == status, (name, answer)
        assert answer.json["error"].endswith(".")
    assert len(hub.get("/api/history")) == before


def test_a_scripts_folder_that_vanished_is_said_so_and_may_come_back(hub: HubProcess) -> None:
    aside = hub.scripts_dir.rename(hub.folder / "aside")
    answer = hub.http("GET", "/api/scripts")
    aside.rename(hub.scripts_dir)
    assert answer.status == 503
    assert answer.json["code"] == "no_scripts_folder"
    assert "a.sh" in hub.get("/api/scripts")
