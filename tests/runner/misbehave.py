"""A program with named misbehaviours; the process that matters prints its pid.

Runs on: a process of its own, started by the tests through the runner.
"""

from __future__ import annotations

import os
import signal
import sys
import time


def say_pid() -> None:
    os.write(1, f"{os.getpid()}\n".encode())


def stay() -> None:
    while True:
        time.sleep(60)


def deep(levels: str) -> None:
    """A chain of processes, each in a session of its own, that ignore TERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for _ in range(int(levels) - 1):
        if os.fork():
            break
        os.setsid()
    say_pid()
    stay()


def daemon(how: str, leader: str) -> None:
    """Fork twice with setsid between; "keeps" the pipes, "closes" them, "forgets" all it was."""
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        say_pid()
        if how != "keeps":
            null = os.open("/dev/null", os.O_RDWR)
            for descriptor in range(3):
                os.dup2(null, descriptor)
        if how == "forgets":
            os.execve("/bin/sleep", ["sleep", "60"], {})
        stay()
    os.wait()
    if leader == "stay":
        stay()


def bomb(most: str) -> None:
    """Double until there are many, then stay; ignore TERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    generation = 0
    while 2**generation < int(most):
        os.fork()
        generation += 1
    say_pid()
    stay()


def breed() -> None:
    """Replace itself by two again and again, each generation orphaned; never over 60 at once."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork():
        stay()
    for _ in range(5):
        os.fork()
    while True:
        say_pid()
        if os.fork():
            os._exit(0)
        time.sleep(0.002)


if __name__ == "__main__":
    {"deep": deep, "daemon": daemon, "bomb": bomb, "breed": breed}[sys.argv[1]](*sys.argv[2:])
