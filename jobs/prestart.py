"""Workers come up while this process still imports what a run needs: a second that the command would wait otherwise."""

import contextlib
import os
from collections.abc import Iterator
from glob import iglob
from pathlib import Path
from typing import Any

from winnow.engine.executors.choose import LARGE_BYTES, SMALL_BYTES, Executor

LOADED = (
    "winnow.stages.ingest.measure",
    "winnow.stages.tokenise.tokenise",
    "winnow.stages.shards.shards",
    "awkward",
    "winnow.stages.kernel_sets:load_compiled",
)
"""What workers need, so that it is there before they are: the stages that take longest, and their kernels."""


def start_workers_early(config: str, overrides: list[str]) -> None:
    """Begin to start workers on this machine if a run of this config will surely need them, from a first look at the
    YAML.

    Whatever is wrong with the config is told later, by those who know it.
    """
    with contextlib.suppress(Exception):
        executor, workers = workers_needed(config, overrides)
        if executor == "processes":
            from winnow.engine.executors.processes import begin_processes

            begin_processes(LOADED)
        if executor == "ray":
            from winnow.engine.doing import say
            from winnow.engine.executors.private_ray import begin_start, cores_of

            say(f"starting Ray on this machine, {cores_of(workers)} cores")
            begin_start(cores_of(workers), LOADED)
            import ray.data  # noqa: F401 - needed in any case, and Ray's processes take their time


def workers_needed(config: str, overrides: list[str]) -> tuple[Executor, object]:
    """What this run will need on this machine, and ``compute.workers``; `inline` where it needs no workers, or that
    cannot be told yet."""
    from winnow.config.strict_yaml import read_yaml
    from winnow.storage.address import settled_path

    nothing: tuple[Executor, object] = ("inline", 0)
    if os.environ.get("RAY_ADDRESS") or not Path(config).is_file():  # a pipe can be read only once
        return nothing
    values = read_yaml(Path(config).read_text(encoding="utf-8"))
    settings = {"run": values["run"]} | {f"compute.{k}": v for k, v in (values.get("compute") or {}).items()}
    settings |= {name: read_yaml(value) for name, _, value in (text.partition("=") for text in overrides)}
    wanted, workers = settings.get("compute.executor", "auto"), settings.get("compute.workers", "auto")
    if wanted == "inline" or (Path(settled_path(settings["run"])) / "state.json").exists():  # most may be done
        return nothing
    seen, enough = 0, LARGE_BYTES if wanted == "auto" else SMALL_BYTES
    for size in _input_sizes(values["sources"]):
        seen += size
        if seen >= enough:
            break
    if seen < SMALL_BYTES:
        return nothing
    return ("ray" if wanted == "ray" or (wanted == "auto" and seen >= LARGE_BYTES) else "processes"), workers


def _input_sizes(sources: list[dict[str, Any]]) -> Iterator[int]:
    from winnow.storage.address import settled_path

    for source in sources:
        patterns = source["path"] if isinstance(source["path"], list) else [source["path"]]
        for pattern in patterns:
            for path in iglob(settled_path(pattern), recursive=True):  # noqa: PTH207 - patterns are absolute, too
                yield Path(path).stat().st_size
