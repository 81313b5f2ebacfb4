"""Stands for an agent of Ray's node that a private Ray has no use for, until somebody asks that agent something.

Run by its path, by Ray's node, as ``stand_in_agent.py ADDRESS FILE... -- COMMAND...``, with nothing but the standard
library: a Python that has started is all that it costs. The node waits until its agents have written their ports into
files, so an agent that imports Ray for a second delays everything. Without an address, the ports are -1, with which
Ray's own agent says that it offers nothing. Else this listens there, and at the first call becomes the agent: it runs
COMMAND with the same port, and Ray calls again. Like Ray's agents it ends with the node.
"""

import os
import select
import socket
import sys

LOOK_SECONDS = 1.0
"""How often to look whether the node is there."""
PORT = "--runtime-env-agent-port="


def stand(arguments: list[str]) -> None:
    """Until the node ends, or somebody calls."""
    split = arguments.index("--")
    (address, *files), command = arguments[:split], arguments[split + 1 :]
    # Ray's node says who it is; it may have ended before this began
    node, port, listening = int(os.environ.get("RAY_RAYLET_PID") or os.getppid()), -1, None
    if address:
        family, kind, _, _, place = socket.getaddrinfo(address, 0, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
        listening.listen()
        port = listening.getsockname()[1]
    for path in files:
        with open(f"{path}.draft", "w") as file:  # noqa: PTH123 - pathlib takes as long to import as all of this
            file.write(str(port))
        os.rename(f"{path}.draft", path)  # noqa: PTH104 - it appears whole
    waiting = select.poll()
    if listening:
        waiting.register(listening, select.POLLIN)
    while os.getppid() == node:
        if waiting.poll(LOOK_SECONDS * 1000) and listening:
            listening.close()
            line = [f"{PORT}{port}" if argument.startswith(PORT) else argument for argument in command]
            os.execv(line[0], line)  # noqa: S606 - Ray's own command


if __name__ == "__main__":
    stand(sys.argv[1:])
