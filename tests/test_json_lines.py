"""The file of JSON lines: rotation, full disks, folders that are gone, and what followers read.

Runs on: the test's main thread; real files.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from toru.json_lines import JsonLinesFile, files_of, json_line


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def loss_line(count: int) -> bytes:
    return json_line({"lost": count})


def numbered(*numbers: int) -> bytes:
    return b"".join(json_line({"n": number}) for number in numbers)


def test_rotation_is_by_rename_and_loses_no_line(tmp_path: Path) -> None:
    file = JsonLinesFile(tmp_path / "toru.log", loss_line, rotate_bytes=1000, kept=50)
    for number in range(500):
        file.write(json_line({"n": number}))
    file.close()
    paths = sorted(tmp_path.iterdir(), key=lambda path: -int(path.suffix[1:].replace("log", "0")))
    assert len(paths) > 3
    assert all(path.stat().st_size <= 1000 for path in paths)
    assert [line["n"] for path in paths for line in lines_of(path)] == list(range(500))


def test_only_so_many_old_files_stay(tmp_path: Path) -> None:
    file = JsonLinesFile(tmp_path / "toru.log", loss_line, rotate_bytes=100, kept=3)
    for number in range(200):
        file.write(json_line({"n": number}))
    file.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["toru.log", "toru.log.1", "toru.log.2", "toru.log.3"]


def test_a_follower_of_the_old_file_reads_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "toru.log"
    file = JsonLinesFile(path, loss_line, rotate_bytes=200, kept=5)
    file.write(json_line({"n": 0}))
    with path.open("rb") as follower:
        file.write(json_line({"n": 1, "pad": "x" * 150}))
        file.write(json_line({"n": 2, "pad": "x" * 150}))
        assert b'"n":0' in follower.read()
    file.close()


def test_a_full_disk_is_survived_counted_and_leaves_no_torn_line(tmp_path: Path) -> None:
    """A file size limit stands for the disk: writes are cut, then fail."""
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from toru.json_lines import JsonLinesFile, json_line\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "def lost(n): return json_line({'message': f'{n} log lines could not be written.'})\n"
        "file = JsonLinesFile(Path(sys.argv[1]), lost)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.RLIM_INFINITY))\n"
        "for n in range(100): file.write(json_line({'n': n}))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)\n"
        "file.write(json_line({'n': 100}))\n"
    )
    if resource.getrlimit(resource.RLIMIT_FSIZE)[1] != resource.RLIM_INFINITY:
        pytest.skip("the file size limit of this shell cannot be raised again")
    path = tmp_path / "toru.log"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=30)
    whole, torn = [], []
    for line in path.read_bytes().splitlines():
        try:
            whole.append(json.loads(line))
        except ValueError:
            torn.append(line)
    assert len(torn) <= 1
    written = [line["n"] for line in whole if "n" in line]
    lost = next(str(line["message"]) for line in whole if "message" in line)
    assert written == [*range(len(written) - 1), 100]
    assert lost.startswith(f"{101 - len(written)} log lines could not be written")


def test_a_batch_that_does_not_fit_is_parted_between_files_at_ends_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = JsonLinesFile(path, loss_line, rotate_bytes=100, kept=50)
    for first in range(0, 200, 40):
        file.write(numbered(*range(first, first + 40)))
    file.close()
    paths = [name for name in reversed(files_of(path, 50)) if name.exists()]
    assert all(name.stat().st_size <= 100 for name in paths)
    assert [line["n"] for name in paths for line in lines_of(name)] == list(range(200))


def test_a_line_larger_than_a_file_may_be_has_a_file_for_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = JsonLinesFile(path, loss_line, rotate_bytes=50)
    large = json_line({"n": 1, "pad": "x" * 200})
    file.write(numbered(0) + large + numbered(2))
    file.close()
    assert [[line["n"] for line in lines_of(name)] for name in files_of(path)[:3]] == [
        [2],
        [1],
        [0],
    ]


def test_a_file_that_was_deleted_or_moved_away_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "a.log"
    file = JsonLinesFile(path, loss_line)
    file.write(numbered(0))
    path.unlink()
    file.write(numbered(1))
    assert lines_of(path) == [{"n": 1}]
    path.rename(tmp_path / "moved")
    file.write(numbered(2))
    assert lines_of(path) == [{"n": 2}]
    path.unlink()
    path.parent.rmdir()
    file.write(numbered(3))
    file.close()
    assert lines_of(path) == [{"n": 3}]


def test_a_file_that_was_cut_from_outside_goes_on_where_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = JsonLinesFile(path, loss_line, rotate_bytes=100)
    file.write(numbered(*range(10)))
    os.truncate(path, 0)
    file.write(numbered(*range(10)))
    file.close()
    assert [line["n"] for line in lines_of(path)] == list(range(10))
    assert not files_of(path)[1].exists()


def test_a_line_that_a_kill_has_cut_spoils_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(numbered(0) + b'{"n":1,"te')
    file = JsonLinesFile(path, loss_line)
    file.write(numbered(2))
    file.close()
    assert path.read_bytes() == numbered(0) + b'{"n":1,"te\n' + numbered(2)


def test_a_folder_that_cannot_be_made_is_counted_and_recovered_from(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.write_text("a file is in the way")
    file = JsonLinesFile(folder / "a.log", loss_line)
    file.write(numbered(0, 1))
    assert (file.lost, type(file.error)) == (2, FileExistsError)
    file.write(numbered(2))
    folder.unlink()
    file.write(numbered(3))
    assert (file.lost, file.error) == (0, None)
    file.close()
    assert lines_of(folder / "a.log") == [{"lost": 3}, {"n": 3}]


def test_where_nothing_can_be_renamed_the_file_goes_on_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    (tmp_path / "a.log.1").mkdir()
    (tmp_path / "a.log.1" / "in the way").touch()
    file = JsonLinesFile(path, loss_line, rotate_bytes=50, kept=1)
    for number in range(20):
        file.write(numbered(number))
    assert isinstance(file.error, OSError)
    assert file.lost == 0
    file.close()
    assert [line["n"] for line in lines_of(path)] == list(range(20))


def test_a_rotation_that_was_cut_short_pushes_no_file_out(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    for number in (2, 3):
        files_of(path)[number].write_bytes(numbered(number))
    file = JsonLinesFile(path, loss_line, rotate_bytes=10, kept=3)
    file.write(numbered(0))
    file.write(numbered(10))
    file.close()
    found = [lines_of(name) for name in files_of(path, 3)]
    assert found == [[{"n": 10}], [{"n": 0}], [{"n": 2}], [{"n": 3}]]


def test_what_is_no_file_is_written_to_and_never_rotated(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.symlink_to("/dev/null")
    file = JsonLinesFile(path, loss_line, rotate_bytes=10)
    for number in range(10):
        file.write(numbered(number))
    file.close()
    assert (file.lost, [name.name for name in tmp_path.iterdir()]) == (0, ["a.log"])
