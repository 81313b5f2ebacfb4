"""Stands for a worker of Ray's node for some milliseconds: it has one forked that has everything loaded.

Run by its path, by Ray's node, as ``stand_in_worker.py NAME COMMAND...``, with nothing but the standard library. The
template (:mod:`worker_template`) forks a process that goes on with this one's environment and streams as the
worker of Ray's COMMAND. Where there is no template, or the worker is to have an environment of its own, this process
runs COMMAND itself, as Ray would have.
"""

import json
import os
import socket
import sys

WAIT_SECONDS = 30.0
"""How long the template may still be loading; Ray waits twice as long for a worker."""
READY, DONE = b"?", b"."
"""What is said before the fork, by both, and after it."""
_SETUP = "setup_worker.py"
"""Ray's program that sets up an environment and then runs the worker's; it reads these two options."""
_LANGUAGE, _OWN_ENVIRONMENT = "--language=", "--serialized-runtime-env-context="


def program_of(command: list[str]) -> list[str]:
    """The worker's own program and arguments, without what sets up its environment; nothing where it has one."""
    if any(argument.startswith(_OWN_ENVIRONMENT) for argument in command):
        return []
    return [part for part in command[1:] if not part.endswith(_SETUP) and not part.startswith(_LANGUAGE)]


def is_forked(name: str, program: list[str]) -> bool:
    """Have it forked, if there is somebody to do it."""
    message = {"program": program, "environment": dict(os.environ), "folder": os.getcwd()}  # noqa: PTH109 - pathlib takes as long to import as all of this
    data = json.dumps(message).encode()
    try:
        template = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        template.settimeout(WAIT_SECONDS)
        template.connect(f"\0{name}")
        socket.send_fds(template, [len(data).to_bytes(8, "little")], [0, 1, 2])
        template.sendall(data)
        if template.recv(1) != READY:
            return False
        template.settimeout(None)  # from here on a second worker would be one too many
        template.sendall(READY)
        return template.recv(1) == DONE
    except OSError:
        return False


if __name__ == "__main__":
    node, line = os.getppid(), sys.argv[2:]
    asked = program_of(line)
    if not (asked and is_forked(sys.argv[1], asked)) and os.getppid() == node:  # else there is nobody to work for
        os.execv(line[0], line)  # noqa: S606 - Ray's own command
