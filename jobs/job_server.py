"""The job server of a Ray cluster: finding it, and asking again where it fails for a passing reason."""

import os
import re
import socket
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")
ATTEMPTS = 5
"""How often a request is sent that fails for a passing reason."""
FIRST_WAIT_SECONDS = 2.0
"""Wait after the first failure; each further one is twice as long."""
CONNECT_SECONDS = 10.0
"""How long an address may take to answer at all."""
_PASSING = (408, 425, 429, *range(500, 600))
_HOST_AND_PORT = re.compile(r"(\[[0-9a-fA-F:]+\]|[\w.-]+):\d+/?")


def connect(address: str | None) -> Any:
    """Ray's client of jobs.

    Args:
        address: of the dashboard, with or without ``http://``; None takes what the environment names.

    Raises:
        ClusterError: nobody answers there, or not a job server.
        JobServerError: it failed for a passing reason, again and again.
    """
    from winnow.engine.executors.private_ray import quiet_ray_environment
    from winnow.errors import ClusterError, WinnowError

    quiet_ray_environment()
    from ray.job_submission import JobSubmissionClient

    given = address or os.environ.get("RAY_API_SERVER_ADDRESS")
    if given and _HOST_AND_PORT.fullmatch(given):
        given = f"http://{given}"  # without it Ray takes the port for the one of its own protocol, and waits
    told = given or os.environ.get("RAY_ADDRESS") or "127.0.0.1:8265"
    try:
        _look(told)
        return patiently(f"the job server of {told}", lambda: JobSubmissionClient(given))
    except WinnowError:
        raise
    except Exception as error:  # Ray raises whatever its own parts raise
        raise ClusterError(
            f"no Ray cluster takes jobs at {told} ({first_line(error)}); give the dashboard's address with --address, "
            "such as http://head:8265, and RAY_AUTH_MODE=token with its token where the cluster wants one"
        ) from error


def _look(address: str) -> None:
    """Raise OSError within seconds where nobody is at an address; Ray's own ways would wait for minutes."""
    from urllib.request import getproxies

    parts = urlsplit(address if "://" in address else f"//{address}")
    if parts.scheme in getproxies() or not parts.hostname:
        return
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    if port is not None:
        socket.create_connection((parts.hostname, port), timeout=CONNECT_SECONDS).close()


def patiently(what: str, ask: Callable[[], T]) -> T:
    """What ``ask`` gives, asked again where the server fails for a passing reason.

    Raises:
        JobServerError: it failed each time.
        ConfigError: it refuses, and will again.
        Exception: whatever else ``ask`` raises.
    """
    from winnow.errors import ConfigError, JobServerError

    for attempt in range(ATTEMPTS):
        try:
            return ask()
        except Exception as error:
            status = status_of(error)
            if status is None:
                raise
            if status == 413:
                raise ConfigError(
                    f"{what}: too large an upload (HTTP 413). Leave data, checkpoints and environments out of "
                    "--working-dir (.gitignore and .rayignore are heeded), or raise the limit of the proxy before the "
                    "dashboard (nginx: client_max_body_size)"
                ) from error
            if status not in _PASSING:
                raise ConfigError(f"{what}: refused ({first_line(error)})") from error
            last = error
        if attempt + 1 < ATTEMPTS:
            time.sleep(FIRST_WAIT_SECONDS * 2**attempt)
    raise JobServerError(
        f"{what}: failed {ATTEMPTS} times, at last with {first_line(last)}; nothing was started that is not listed on "
        "the dashboard: run the same command again"
    ) from last


def status_of(error: Exception) -> int | None:
    """The HTTP status that an error of Ray's client or of requests is about; None where it is about none."""
    answer = getattr(error, "response", None)
    if answer is not None:
        return int(answer.status_code)
    found = re.match(r"Request failed with status code (\d{3})", str(error))
    return int(found[1]) if found else None


def first_line(error: Exception) -> str:
    """What an error says, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
