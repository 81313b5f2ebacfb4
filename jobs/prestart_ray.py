"""Ray comes up while this process still imports what a run needs: a second that `winnow run` would wait otherwise."""

import contextlib
import os
from collections.abc import Iterator
from glob import iglob
from pathlib import Path
from typing import Any

WORTH_BYTES = 16_000_000
"""Input from which workers are certainly needed; less may be done before Ray is there."""


def start_ray_early(config: str, overrides: list[str]) -> None:
    """Begin to start Ray on this machine if a run of this config will surely need it, from a first look at the YAML.

    Whatever is wrong with the config is told later, by those who know it.
    """
    with contextlib.suppress(Exception):
        cores = cores_needed(config, overrides)
        if cores:
            from winnow.engine.doing import say
            from winnow.engine.executors.private_ray import begin_start

            say(f"starting Ray on this machine, {cores} cores")
            begin_start(cores)
            import ray.data  # noqa: F401 - needed in any case, and Ray's processes take their time


def cores_needed(config: str, overrides: list[str]) -> int:
    """Cores of a Ray on this machine that this run will need; 0 where it needs none, or that cannot be told yet."""
    from winnow.config.strict_yaml import read_yaml
    from winnow.engine.executors.private_ray import cores_of
    from winnow.storage.address import settled_path

    if not Path(config).is_file():  # a pipe can be read only once
        return 0
    values = read_yaml(Path(config).read_text(encoding="utf-8"))
    settings = {"run": values["run"]} | {f"compute.{k}": v for k, v in (values.get("compute") or {}).items()}
    settings |= {name: read_yaml(value) for name, _, value in (text.partition("=") for text in overrides)}
    workers = settings.get("compute.workers", "auto")
    if os.environ.get("RAY_ADDRESS") or settings.get("compute.executor", "ray") != "ray":
        return 0
    if (Path(settled_path(settings["run"])) / "state.json").exists():  # most of it, or all, may be done
        return 0
    seen = 0
    for size in _input_sizes(values["sources"]):
        seen += size
        if seen >= WORTH_BYTES:
            return cores_of(workers)
    return 0


def _input_sizes(sources: list[dict[str, Any]]) -> Iterator[int]:
    from winnow.storage.address import settled_path

    for source in sources:
        patterns = source["path"] if isinstance(source["path"], list) else [source["path"]]
        for pattern in patterns:
            for path in iglob(settled_path(pattern), recursive=True):  # noqa: PTH207 - patterns are absolute, too
                yield Path(path).stat().st_size
