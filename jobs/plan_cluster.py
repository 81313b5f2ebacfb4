"""``winnow plan --cluster``: nodes, memory, disk, requests, hours and cost, as a table or JSON."""

import math
import sys
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from winnow.config.config import Config
    from winnow.runs.estimate.cluster import Assumptions, ClusterPlan, Estimate, NodeType
    from winnow.runs.estimate.sizes import Corpus

NODE_COUNTS = (1, 2, 4, 8, 16, 32)
"""Shown where nobody asks for a number."""
MANY_NODES = 100_000
LARGEST = 1_000_000_000
"""Of any option; in GB of text an exabyte."""
NODE_TYPES = Path(__file__).with_name("node_types.yaml")


@dataclass(frozen=True)
class Asked:
    """The options of ``winnow plan --cluster``; None is not given."""

    corpus_gb: float | None = None
    document_kb: float | None = None
    node: str | None = None
    node_types: str | None = None
    cores: int | None = None
    memory_gb: float | None = None
    price: float | None = None
    nodes: int | None = None
    hours: float | None = None
    storage_mb_s: float | None = None
    efficiency: float | None = None
    embed_rate: float | None = None


def print_cluster_plan(config: "Config", asked: Asked, *, as_json: bool) -> None:
    """Print what a run takes on a cluster.

    Raises:
        ConfigError: an option cannot be used, or no number of nodes does what is asked.
    """
    import orjson

    from winnow.errors import ConfigError
    from winnow.runs.estimate.cluster import plan_cluster

    _check_finite(asked)
    node, given = _machines(config, asked)
    corpus, id_bytes, tokens = _corpus(config, asked)
    plan = plan_cluster(corpus, config, id_bytes, node, given, tokens)
    try:
        estimates = _estimates(plan, asked)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if as_json:
        options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        sys.stdout.buffer.write(orjson.dumps(plan.to_json(estimates), option=options))
        return
    _print(plan, estimates)


def _check_finite(asked: Asked) -> None:
    """Refuse numbers that are none, or larger than any cluster; the command refuses those that are too small."""
    from winnow.errors import ConfigError

    for field in fields(asked):
        value = getattr(asked, field.name)
        if isinstance(value, int | float) and not value <= LARGEST:
            raise ConfigError(f"--{field.name.replace('_', '-')} {value}: expected a number up to {LARGEST:,}")


def _corpus(config: "Config", asked: Asked) -> tuple["Corpus", int, int | None]:
    """What is to be read, bytes of a token id, and tokens where they are counted."""
    from winnow.runs.estimate.sizes import corpus_of
    from winnow.runs.plan import plan_run
    from winnow.runs.run import load_run_vocabulary
    from winnow.stages.ingest.estimates import COMPRESSED_RATIO

    if asked.corpus_gb is None:
        planned = plan_run(config)
        corpus, id_bytes, tokens = planned.corpus, planned.id_bytes, planned.tokens if planned.counted else None
    else:
        import numpy as np

        text = int(asked.corpus_gb * 1e9)
        corpus, tokens = corpus_of(text, text // COMPRESSED_RATIO), None
        id_bytes = np.dtype(load_run_vocabulary(config).dtype).itemsize
    if asked.document_kb is not None:
        corpus = replace(corpus, documents=max(1, int(corpus.text_bytes / (asked.document_kb * 1e3))))
    return corpus, id_bytes, tokens


def _machines(config: "Config", asked: Asked) -> tuple["NodeType", "Assumptions"]:
    from winnow.errors import ConfigError
    from winnow.runs.estimate.cluster import Assumptions, NodeType

    table = _node_table(Path(asked.node_types) if asked.node_types else NODE_TYPES)
    head_price = None
    if asked.node is not None:
        if asked.node not in table["nodes"]:
            known = ", ".join(table["nodes"])
            raise ConfigError(
                f"--node {asked.node}: not in the table ({known}); give --cores, --memory-gb and --price, or a table "
                "of your own with --node-types"
            )
        node = NodeType(asked.node, **table["nodes"][asked.node])
        head = table["nodes"].get(table["head"])
        head_price = head.get("price") if head else None
    elif asked.cores is not None and asked.memory_gb is not None:
        node = NodeType(f"{asked.cores} cores, {asked.memory_gb:g} GB", asked.cores, asked.memory_gb)
    else:
        raise ConfigError("--cluster needs a kind of node: --node NAME, or --cores and --memory-gb (and --price)")
    node = replace(node, cores=asked.cores or node.cores, memory_gb=asked.memory_gb or node.memory_gb)
    if asked.price is not None:
        node = replace(node, price=asked.price)
    return node, Assumptions(
        object_store="://" in config.run,
        storage_mb_s=asked.storage_mb_s,
        efficiency=asked.efficiency,
        embed_documents_s=asked.embed_rate,
        read_price=table["requests"].get("reads"),
        write_price=table["requests"].get("writes"),
        head_price=head_price,
    )


def _node_table(path: Path) -> dict[str, Any]:
    import yaml

    from winnow.config.strict_yaml import read_yaml
    from winnow.errors import ConfigError
    from winnow.runs.estimate.cluster import NodeType

    try:
        table = read_yaml(path.read_text(encoding="utf-8"))
        for name, values in table["nodes"].items():
            _check_numbers(f"node {name!r}", asdict(NodeType(name, **values)), may_be_0=("price", "disk_gb"))
        _check_numbers("requests", table.setdefault("requests", {}), may_be_0=("reads", "writes"))
        if table.setdefault("head", None) is not None and table["head"] not in list(table["nodes"]):
            raise ValueError(f"head is {table['head']!r:.100}, not one of its nodes")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name an existing table with --node-types") from error
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path}: not a table of nodes ({error}); expected `nodes: {{NAME: {{cores: 64, memory_gb: 128, "
            f"price: 2.5}}}}` as in {NODE_TYPES}"
        ) from error
    known: dict[str, Any] = table
    return known


def _check_numbers(where: str, values: dict[str, Any], may_be_0: tuple[str, ...]) -> None:
    """Refuse values with which nothing can be reckoned; None is not known.

    Raises:
        ValueError: a name is no string, or a value no number above 0 (not below 0 where it may be 0).
    """
    for name, value in values.items():
        if name == "name":
            if type(value) is not str:
                raise ValueError(f"the name of {where} is not a string; put it in quotes")
        elif (value is not None or name in ("cores", "memory_gb")) and (
            type(value) not in ((int,) if name == "cores" else (int, float))
            or not math.isfinite(value)
            or value < 0
            or (value == 0 and name not in may_be_0)
        ):
            kind = "a whole number" if name == "cores" else "a number"
            raise ValueError(f"{name} of {where} is {value!r:.100}, not {kind}{'' if name in may_be_0 else ' above 0'}")


def _estimates(plan: "ClusterPlan", asked: Asked) -> list["Estimate"]:
    from winnow.errors import ConfigError

    if asked.nodes is not None:
        return [plan.on(asked.nodes)]
    if asked.hours is None:
        return [plan.on(nodes) for nodes in NODE_COUNTS]
    nodes = plan.nodes_for(asked.hours)
    if nodes is None:
        most = plan.on(MANY_NODES)
        raise ConfigError(
            f"--hours {asked.hours:g}: no number of nodes ends sooner than in {_duration(most.hours)}; the limit is "
            f"{most.limit} (faster storage: --storage-mb-s; fewer requests: larger compute.worker_memory_mb and "
            "shards.shard_mb)"
        )
    return [plan.on(nodes)]


def _print(plan: "ClusterPlan", estimates: list["Estimate"]) -> None:
    from rich.console import Console
    from rich.table import Table

    from winnow.runs.estimate.cluster import SPILL_GB, basis_of

    console = Console()

    def say(line: str) -> None:
        console.print(line, soft_wrap=True, markup=False, highlight=False)

    corpus, sizes = plan.corpus, plan.sizes
    say(
        f"{_size(corpus.text_bytes)} of text in {_size(corpus.stored_bytes)} of files, about {corpus.documents:,} "
        f"documents, {sizes.tokens / 1e6:,.0f} million tokens; all kept"
    )
    say(f"units of {sizes.work.unit_mb:,} MB of text, exchange partitions of {sizes.work.partition_mb:,} MB")
    written = ", ".join(f"{name} {_size(size)}" for name, size in sizes.tables.items() if size)
    say(f"storage: {_size(sizes.written_bytes)} in {sizes.files + sizes.records:,} files ({written})")
    where = "" if plan.given.object_store else " (on a shared disk: calls, not requests that cost)"
    cost = "" if not plan.request_cost else f", about ${plan.request_cost:,.2f}"
    say(
        f"requests: {plan.requests.writes:,} writes, {plan.requests.reads:,} reads, of which exchanges "
        f"{plan.requests.exchange_reads:,}{cost}{where}"
    )
    hours = ", ".join(f"{name} {_duration(hours)}" for name, hours in plan.core_hours.items())
    say(f"one core: {_duration(sum(plan.core_hours.values()))} at the measured rate ({hours})")
    if "select" in plan.core_hours:
        told = "unknown (--embed-rate)" if plan.embed_gpu_hours is None else _duration(plan.embed_gpu_hours)
        say(f"one GPU, where select has an encoder: {told}; not in the hours and costs below")
    node = plan.node
    workers = node.workers(plan.worker_memory_mb)
    say(
        f"a node ({node.name}): {workers} workers ({node.cores} cores) of {plan.worker_memory_mb:,} MB, "
        f"{node.used_gb(plan.worker_memory_mb):,.0f} of {node.memory_gb:g} GB; {SPILL_GB} GB of local disk"
    )
    where = "on each worker, in rounds," if plan.in_rounds else "on one node"
    say(
        f"the head: {plan.driver_memory_gb:,.1f} GB for the driver; {plan.components_memory_gb:,.1f} GB {where} "
        "for the components step"
    )
    table = Table("nodes", "workers", "time", "limit", "GB/s of storage", "cost")
    for estimate in estimates:
        table.add_row(
            f"{estimate.nodes:,}",
            f"{estimate.workers:,}",
            _duration(estimate.hours),
            estimate.limit,
            f"{plan.moved_bytes / estimate.hours / 3600 / 1e9:,.2f}",
            "unknown" if estimate.cost is None else f"${estimate.cost:,.2f}",
        )
    console.print(table)
    say(f"times rest on {basis_of(estimates[-1].workers, plan.given)}; {_price_note(plan)}")


def _price_note(plan: "ClusterPlan") -> str:
    if plan.node.price is None:
        return "no price is known (--price)"
    head = "" if plan.given.head_price is None else f", and one at ${plan.given.head_price:g} for the head"
    return f"costs on nodes at ${plan.node.price:g} an hour{head}"


def _duration(hours: float) -> str:
    if hours >= 1:
        return f"{hours:,.1f} h"
    return f"{hours * 60:,.1f} min" if hours * 60 >= 1 else f"{hours * 3600:,.1f} s"


def _size(size: int) -> str:
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB")):
        if size >= unit:
            return f"{size / unit:,.2f} {name}"
    return f"{size / 1e3:,.1f} kB"
