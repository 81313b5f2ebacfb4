"""``winnow run``: do what is missing, and end with shards. Also ``python -m jobs.run`` for ``ray job submit``."""

import contextlib
import time
from typing import Annotated, Literal

import typer

from .paths import settled

ConfigPath = Annotated[
    str, typer.Argument(metavar="CONFIG", callback=settled, help="YAML file; `winnow init` writes one to begin with.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="a.b=c", help="Override one setting, e.g. --set shards.seed=8. May be repeated."),
]


def run(
    config: ConfigPath,
    overrides: Overrides = None,
    executor: Annotated[
        Literal["auto", "ray", "processes", "inline"] | None,
        typer.Option(help="Where units are done, in place of compute.executor; `inline`: in this process, to debug."),
    ] = None,
    new_only: Annotated[
        bool,
        typer.Option(
            "--new-only",
            help="`run` is a corpus that grows: take only inputs that no run has taken, deduplicate them against all "
            "of it, and add a shard set to its corpus.json.",
        ),
    ] = False,
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="With --new-only, the set's name; else the next number.")
    ] = None,
    if_changed: Annotated[
        bool, typer.Option("--if-changed", help="End with 0 at once where inputs and settings are as they were.")
    ] = False,
    log_format: Annotated[
        Literal["text", "json"], typer.Option(help="Log lines on stderr: text, or one JSON object a line.")
    ] = "text",
) -> None:
    """Run what is missing: raw text in, shuffled training shards out.

    Committed work is never computed again: after a kill, the same command goes on; after a changed setting, only
    the stages that depend on it run. Exit code 0: everything is committed and the books close. 1: units failed.
    2: config or input refused. 3: another run owns the folder. 4: finished, with
    alarms that `alarms` fails. 75: stopped by SIGTERM; the same command goes on.
    """
    from winnow.engine.stopping import Stop

    from .exit_codes import OK, leave, log_to_stderr, true_exit_codes

    started = time.perf_counter()
    settings = list(overrides or []) + ([f"compute.executor={executor}"] if executor else [])
    stop = Stop()
    with true_exit_codes(), stop.handle_signals(), contextlib.ExitStack() as telling:
        log_to_stderr(log_format)
        from winnow.engine.doing import doing, say, told_by_the_clock
        from winnow.engine.garbage import kept_to_the_end
        from winnow.version import winnow_version

        say(f"winnow {winnow_version()}: {config}")
        telling.enter_context(told_by_the_clock())
        telling.enter_context(doing("looking at the config, inputs, models and what is done already"))
        with kept_to_the_end():
            if not new_only and not if_changed:
                from .prestart import start_workers_early

                start_workers_early(config, settings)
            from rich.console import Console

            from winnow.config.load import load_config
            from winnow.report.alarms import check_alarms
            from winnow.report.summary import print_summary
            from winnow.runs.corpus import add_new_inputs, is_unchanged
            from winnow.runs.run import run as run_pipeline

        loaded = load_config(config, settings)
        log_to_stderr(log_format, loaded.run)
        _refuse_name(name, new_only)
        context = None
        if new_only:
            context = add_new_inputs(loaded, name, stop, started)
        elif not (if_changed and is_unchanged(loaded)):
            context = run_pipeline(loaded, stop, started=started)
        telling.close()
        if context is None:
            print(f"winnow: nothing is new for {loaded.run}; nothing was done")
        else:
            print_summary(context.run, Console())
            check_alarms(context.run)
    leave(OK)


def _refuse_name(name: str | None, new_only: bool) -> None:
    from winnow.errors import ConfigError

    if name is not None and not new_only:
        raise ConfigError("--as names a shard set of a corpus that grows; use it with --new-only")


if __name__ == "__main__":
    import sys

    from winnow.engine.executors.lost_ray import restart_with

    restart_with(sys.orig_argv)
    typer.run(run)
