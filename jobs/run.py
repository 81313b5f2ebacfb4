"""``winnow run``: do what is missing, and end with shards. Also ``python -m jobs.run`` for ``ray job submit``."""

import time
from typing import Annotated, Literal

import typer

ConfigPath = Annotated[str, typer.Argument(metavar="CONFIG", help="YAML file; `winnow init` writes one to begin with.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="a.b=c", help="Override one setting, e.g. --set shards.seed=8. May be repeated."),
]


def run(
    config: ConfigPath,
    overrides: Overrides = None,
    executor: Annotated[
        Literal["ray", "inline"] | None,
        typer.Option(help="`ray` uses the cluster or all cores; `inline` runs in this process, for debugging."),
    ] = None,
    log_format: Annotated[
        Literal["text", "json"], typer.Option(help="Log lines on stderr: text, or one JSON object a line.")
    ] = "text",
) -> None:
    """Run what is missing: raw text in, shuffled training shards out.

    Committed work is never computed again: after a kill, the same command goes on; after a changed setting, only
    the stages that depend on it run. Exit code 0: everything is committed and the books close. 1: units failed.
    2: config or input refused. 3: another run owns the folder. 75: stopped by SIGTERM; the same command goes on.
    """
    from jobs.early import start_ray_early
    from jobs.exits import OK, leave, log_to_stderr, true_exit_codes
    from pipeline.engine.stopping import Stop

    started = time.perf_counter()
    settings = list(overrides or []) + ([f"compute.executor={executor}"] if executor else [])
    stop = Stop()
    with true_exit_codes(), stop.heed():
        start_ray_early(config, settings)
        log_to_stderr(log_format)
        from rich.console import Console

        from jobs.summary import print_summary
        from pipeline.config import load_config
        from pipeline.run import run as run_pipeline

        loaded = load_config(config, settings)
        log_to_stderr(log_format, loaded.run)
        walk = run_pipeline(loaded, stop)
        print_summary(walk, time.perf_counter() - started, Console())
    leave(OK)


if __name__ == "__main__":
    typer.run(run)
