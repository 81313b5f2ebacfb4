"""``winnow plan``: what would run, what is done, and what it will need. Touches nothing."""

import typer

from jobs.run import ConfigPath, Overrides


def plan(config: ConfigPath, overrides: Overrides = None) -> None:
    """Show what a run would do: units to run and done, estimated disk, memory a worker, output size."""
    from jobs.exits import true_exit_codes

    with true_exit_codes():
        from rich.console import Console
        from rich.table import Table

        from pipeline.config import load_config
        from pipeline.plan import plan_run

        console = Console()
        planned = plan_run(load_config(config, overrides))
        console.print(
            f"{planned.files:,} files, {planned.stored_bytes / 1e6:,.1f} MB, "
            f"about {planned.text_bytes / 1e6:,.1f} MB of text"
        )
        table = Table("stage", "units", "done", "to run")
        for stage in planned.stages:
            units = "after the stage before it" if stage.units is None else f"{stage.units:,}"
            left = "" if stage.units is None else f"{stage.units - stage.done:,}"
            table.add_row(stage.name, units, f"{stage.done:,}" if stage.units is not None else "", left)
        console.print(table)
        console.print(
            f"disk: about {planned.work_bytes / 1e6:,.0f} MB in the run folder, "
            f"of which shards about {planned.shard_bytes / 1e6:,.0f} MB"
        )
        console.print(
            f"memory: up to {planned.worker_memory_mb:,} MB a worker (compute.worker_memory_mb), "
            f"{planned.workers} workers"
        )


if __name__ == "__main__":
    typer.run(plan)
