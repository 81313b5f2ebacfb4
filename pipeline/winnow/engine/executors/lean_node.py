"""The command that starts the node of a private Ray: agents that nobody asks are left out, workers are forked, and the
driver does not wait for them.

Ray has no settings for this. What is looked for is in the commands of the tested Ray versions; where it is not, the
node is started as Ray would.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from winnow.engine.executors import stand_in_agent, stand_in_worker

AGENTS = {
    "--dashboard_agent_command": (
        "METRICS_AGENT_PORT_NAME",
        "METRICS_EXPORT_PORT_NAME",
        "DASHBOARD_AGENT_LISTEN_PORT_NAME",
    ),
    "--runtime_env_agent_command": ("RUNTIME_ENV_AGENT_PORT_NAME",),
}
"""By the node's option that has an agent's command: Ray's names of the ports that the node waits for."""
ASKED = "--runtime_env_agent_command"
"""It makes the environments of tasks that want one of their own, which are none of ours, but may be a user's."""
WORKERS = "--python_worker_command"
BEGUN_BY_ITSELF = "--num_prestart_python_workers"
"""How many workers a node begins by itself. It lets the first driver in only when all of them are there, and until then
every thread of the driver stands still: Ray's C++ waits with Python's lock held. So none: tasks have them begun."""


def lean_command(command: list[str], template: str | None) -> list[str]:
    """A command of Ray's, changed where it starts a node.

    Args:
        command: program and arguments.
        template: the name that a :class:`~winnow.engine.executors.worker_template.WorkerTemplate` listens under, if
            there is one.
    """
    options = dict(option.partition("=")[::2] for option in command)
    try:
        stand_ins = {option: _agent(option, options) for option in AGENTS}
    except (AttributeError, ImportError, KeyError):
        return command
    if template is not None:
        stand_ins[WORKERS] = [stand_in_worker.__file__, template]
    return [
        f"{BEGUN_BY_ITSELF}=0" if option.startswith(f"{BEGUN_BY_ITSELF}=") else _standing(option, stand_ins)
        for option in command
    ]


def _agent(option: str, options: dict[str, str]) -> list[str]:
    """What stands for an agent: a program, where it listens, and the files for the ports that the node waits for."""
    from ray import _raylet  # noqa: PLC0415 - it is loaded

    ray: Any = _raylet  # its stubs leave these out
    folder, node = Path(options["--session_dir"]), options["--node_id"]
    files = [str(folder / ray.get_port_filename(node, getattr(ray, name))) for name in AGENTS[option]]
    return [stand_in_agent.__file__, options["--node_ip_address"] if option == ASKED else "", *files, "--"]


def _standing(option: str, stand_ins: dict[str, list[str]]) -> str:
    name, _, command = option.partition("=")
    if name not in stand_ins:
        return option
    # isolated, and without what sites add: the standard library does, and nothing else is loaded
    return f"{name}={subprocess.list2cmdline([sys.executable, '-I', '-S', *stand_ins[name]])} {command}"
