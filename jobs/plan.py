"""``winnow plan``: what would run, what is done, and what it will need. Touches nothing."""

from typing import TYPE_CHECKING, Annotated

import typer

from .durations import duration
from .paths import settled
from .run import ConfigPath, Overrides

if TYPE_CHECKING:
    from winnow.config.config import Config

SHOWN = 20
"""Sources that are told one by one."""


def plan(
    config: ConfigPath,
    overrides: Overrides = None,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Nodes, memory, disk, requests, hours and cost on a cluster.")
    ] = False,
    node: Annotated[str | None, typer.Option(help="Kind of node, from jobs/node_types.yaml: c7a.16xlarge.")] = None,
    cores: Annotated[int | None, typer.Option(min=1, help="Cores of a node.")] = None,
    memory_gb: Annotated[float | None, typer.Option(min=0.1, help="Memory of a node, in GB.")] = None,
    price: Annotated[float | None, typer.Option(min=0, help="Dollars an hour of a node; spot, for example.")] = None,
    nodes: Annotated[int | None, typer.Option(min=1, help="How long with so many nodes?")] = None,
    hours: Annotated[float | None, typer.Option(min=0.001, help="How many nodes to end within so many hours?")] = None,
    corpus_gb: Annotated[
        float | None, typer.Option(min=0.001, help="GB of text (10^9 bytes) of a corpus that is not there yet.")
    ] = None,
    document_kb: Annotated[float | None, typer.Option(min=0.01, help="Mean text of a document, in kB.")] = None,
    storage_mb_s: Annotated[
        float | None, typer.Option("--storage-mb-s", min=0.1, help="What the storage gives all nodes together, MB/s.")
    ] = None,
    efficiency: Annotated[
        float | None, typer.Option(min=0.01, max=1, help="Share of the measured rate a core that so many cores reach.")
    ] = None,
    embed_rate: Annotated[float | None, typer.Option(min=0.1, help="Documents a second a GPU embeds.")] = None,
    node_types: Annotated[
        str | None, typer.Option(metavar="FILE", callback=settled, help="Your own table of nodes and prices.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="With --cluster: one JSON object.")] = False,
) -> None:
    """Show what a run would do: units to run and done, estimated disk, memory a worker, output size.

    With --cluster: what it takes on a cluster of such nodes, from measured rates.
    """
    from .exit_codes import true_exit_codes

    with true_exit_codes():
        from winnow.config.load import load_config
        from winnow.errors import ConfigError

        from .plan_cluster import Asked, print_cluster_plan

        settings = load_config(config, overrides)
        asked = Asked(
            corpus_gb=corpus_gb,
            document_kb=document_kb,
            node=node,
            node_types=node_types,
            cores=cores,
            memory_gb=memory_gb,
            price=price,
            nodes=nodes,
            hours=hours,
            storage_mb_s=storage_mb_s,
            efficiency=efficiency,
            embed_rate=embed_rate,
        )
        if cluster:
            print_cluster_plan(settings, asked, as_json=as_json)
        elif as_json or asked != Asked():
            raise ConfigError("options of nodes, corpus, storage and --json belong to --cluster: give it, too")
        else:
            _print_plan(settings)


def _print_plan(settings: "Config") -> None:
    from rich.console import Console
    from rich.table import Table

    from winnow.report.printable import printable
    from winnow.runs.plan import plan_run

    console = Console()

    def say(line: str) -> None:
        console.print(printable(line, lines=False), soft_wrap=True, markup=False, highlight=False)

    planned = plan_run(settings)
    names = list(planned.sources)
    for name in names[:SHOWN]:
        files, size = planned.sources[name]
        say(f"source {name}: {files:,} files, {size / 1e6:,.1f} MB")
    if rest := names[SHOWN:]:
        files, size = (sum(planned.sources[name][at] for name in rest) for at in (0, 1))
        say(f"and {len(rest):,} more sources: {files:,} files, {size / 1e6:,.1f} MB")
    say(
        f"{planned.files:,} files, {planned.corpus.stored_bytes / 1e6:,.1f} MB, "
        f"about {planned.corpus.text_bytes / 1e6:,.1f} MB of text"
    )
    if planned.unasked:
        say(f"of these, {planned.unasked:,} files of lists are taken to be like a few whose size is known")
    how = "counted" if planned.counted else "expected, if nothing is dropped"
    say(f"documents and tokens, {how}: {planned.corpus.documents:,} and {planned.tokens:,}")
    say(
        f"disk: about {planned.work_bytes / 1e6:,.0f} MB in the run folder, "
        + (
            ""
            if planned.fullest_bytes == planned.work_bytes
            else f"{planned.fullest_bytes / 1e6:,.0f} MB of them at the same time (compute.keep: needed), "
        )
        + f"of which shards about {planned.shard_bytes / 1e6:,.0f} MB"
        + ("" if planned.disk_left is None else f"; {planned.disk_left / 1e6:,.0f} MB are free there")
    )
    say(f"memory: up to {planned.worker_memory_mb:,} MB a worker (compute.worker_memory_mb), {planned.workers} workers")
    say(f"time: about {duration(planned.seconds)} from nothing, at the rate a core of docs/performance.md")
    if planned.disk_left is not None and planned.disk_left < planned.fullest_bytes:
        say("WARNING: the disk has less left than the run writes, unless much of it is done already")
    for line in (f"tokens: {planned.ends}", *(f"WARNING: {warning}" for warning in planned.warnings)):
        say(line)
    say("what is left to do:")
    table = Table("stage", "units", "done", "to run")
    for stage in planned.stages:
        units = "after the stage before it" if stage.units is None else f"{stage.units:,}"
        left = "" if stage.units is None else f"{stage.units - stage.done:,}"
        table.add_row(stage.name, units, f"{stage.done:,}" if stage.units is not None else "", left)
    console.print(table)


if __name__ == "__main__":
    typer.run(plan)
