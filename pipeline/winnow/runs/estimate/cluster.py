"""How many nodes, for how long, at what cost: a run on a cluster, from rates that were measured.

The law: ``hours = start + max(core seconds / cores in use, bytes moved / storage, requests) + steps on one core``.
What has not been measured (more than two cores, GPUs) is a setting of the estimate or is told as unknown.
"""

from dataclasses import dataclass
from typing import Any

from winnow.config.config import Config
from winnow.runs.estimate.requests import Requests, requests_of
from winnow.runs.estimate.sizes import CANDIDATE_SHARE, Corpus, Sizes, sizes_of
from winnow.select.encoder_config import HASHING
from winnow.stages.dedup.components import TABLE_BYTES, fit_one_unit

CORE_SECONDS_A_MB = {
    "measure": 0.0222,
    "filter, decide": 0.0011,
    "dedup": 0.0054,
    "tokenise": 0.0081,
    "shuffle": 0.0018,
    "shards": 0.0033,
    "between stages": 0.0003,
}
"""A run of 10 GB on 2 cores: stages' wall seconds times 2, a MB of text (docs/performance.md, A large run; together
23.7 MB/s a core). ``python -m benchmarks.end_to_end --scales 1 3`` gives them for another machine."""
SELECT_CORE_SECONDS_A_MB = 0.037
"""Embedding by hashing, clusters and a sample (docs/select.md: 15 s for 408 MB)."""
LINES_CORE_SECONDS_A_MB = 0.015
"""`dedup.lines`: reads and normalises all text once more (docs/performance.md, kernels: read 287, normalise 181 and
lines 355 MB/s)."""
START_SECONDS = 9.4
"""A run of 405 MB less its marginal time (docs/performance.md); nodes are up already."""
COMPONENTS_SECONDS_A_DOCUMENT = 0.58e-6
"""Components in one unit, on one core (docs/performance.md, Dedup at scale: 0.04 hours for 250 million documents)."""
ROUNDS_SECONDS_A_DOCUMENT = 0.8e-6
"""Components in rounds, on all cores (the same place)."""
DRIVER_MEMORY_BYTES = 500_000_000
RECORD_MEMORY_BYTES = 1_750
"""Of the driver, a record (docs/performance.md, Many units)."""
REREAD_SHARE = 0.5
"""Of what is written, what other stages read again from storage and not from memory (docs/operations.md)."""
MEASURED_CORES = 2
UNMEASURED_EFFICIENCY = 0.5
"""Share of the rate a core that is counted on where it has not been measured: beyond two cores."""
SYSTEM_MEMORY_GB = 4.0
"""Of a node, for the system, Ray's own processes and its object store."""
MEMORY_MARGIN = 1.2
"""Over ``compute.worker_memory_mb``: what a process needs beside its batches."""
SPILL_GB = 20
"""Disk of a node for Ray's sessions, logs and spilling, which stays nearly empty: paths and counters travel."""


@dataclass(frozen=True)
class NodeType:
    """One kind of machine."""

    name: str
    cores: int
    memory_gb: float
    disk_gb: float | None = None
    """Local disk; None: none of its own."""
    network_gbit: float | None = None
    """Sustained, a second; None: not known, and no limit here."""
    price: float | None = None
    """Dollars an hour; None: not known."""

    def workers(self, worker_memory_mb: int) -> int:
        """Units at the same time: one a core, as many as fit its memory."""
        room = (self.memory_gb - SYSTEM_MEMORY_GB) * 1e9 / (worker_memory_mb * 1e6 * MEMORY_MARGIN)
        return min(self.cores, max(0, int(room)))

    def used_gb(self, worker_memory_mb: int) -> float:
        """Memory that these workers and the system take."""
        return self.workers(worker_memory_mb) * worker_memory_mb * MEMORY_MARGIN / 1e3 + SYSTEM_MEMORY_GB


@dataclass(frozen=True)
class Assumptions:
    """What the estimate takes as given beside the node type."""

    object_store: bool
    """The run folder is in an object store, not on a shared disk."""
    storage_mb_s: float | None = None
    """What the storage gives all nodes together; None: no limit of its own."""
    efficiency: float | None = None
    """Share of the measured rate a core that many cores reach; None: 1 up to two cores, else half."""
    embed_documents_s: float | None = None
    """Documents a second a GPU embeds, for a run with an encoder; None: unknown."""
    read_price: float | None = None
    """Dollars a thousand reads of the object store."""
    write_price: float | None = None
    head_price: float | None = None
    """Dollars an hour for the node of the driver; None: not counted."""


@dataclass(frozen=True)
class Estimate:
    """A run on so many nodes."""

    nodes: int
    workers: int
    hours: float
    limit: str
    """What sets the time: cores, storage, network or requests."""
    cost: float | None
    """Dollars, nodes and requests together; None where a price is not known."""


@dataclass(frozen=True)
class ClusterPlan:
    """What a corpus takes."""

    corpus: Corpus
    sizes: Sizes
    requests: Requests
    core_hours: dict[str, float]
    """By what is done, at the measured rate."""
    embed_gpu_hours: float | None
    """None: there is no encoder, or its speed is not known."""
    driver_memory_gb: float
    components_memory_gb: float
    """Of the one worker that joins candidate pairs into components; of each that does, in rounds."""
    in_rounds: bool
    """Whether components are joined in rounds, because one worker might not hold them."""
    moved_bytes: int
    """Read from and written to storage."""
    node: NodeType
    worker_memory_mb: int
    given: Assumptions

    def on(self, nodes: int) -> Estimate:
        """The run on so many nodes.

        Raises:
            ValueError: a node has no room for one worker.
        """
        a_node = self.node.workers(self.worker_memory_mb)
        if a_node == 0:
            raise ValueError(
                f"{self.node.name} ({self.node.memory_gb:g} GB) has no room for one worker of "
                f"{self.worker_memory_mb:,} MB beside {SYSTEM_MEMORY_GB:g} GB for the system; lower "
                "compute.worker_memory_mb or take a larger node"
            )
        workers = nodes * a_node
        efficiency = self.given.efficiency
        if efficiency is None:
            efficiency = 1.0 if workers <= MEASURED_CORES else UNMEASURED_EFFICIENCY
        seconds = {"cores": sum(self.core_hours.values()) * 3600 / (workers * efficiency)}
        if self.given.storage_mb_s is not None:
            seconds["storage"] = self.moved_bytes / (self.given.storage_mb_s * 1e6)
        if self.node.network_gbit is not None:
            seconds["network"] = self.moved_bytes / (nodes * self.node.network_gbit * 1e9 / 8)
        if self.given.object_store:
            seconds["requests"] = self.requests.least_seconds
        limit = max(seconds, key=lambda name: seconds[name])
        one_core = 0.0
        if self.sizes.band_partitions and not self.in_rounds:
            one_core = self.corpus.documents * COMPONENTS_SECONDS_A_DOCUMENT
        hours = (START_SECONDS + seconds[limit] + one_core) / 3600
        return Estimate(nodes, workers, hours, limit, self._cost(nodes, hours))

    def nodes_for(self, hours: float) -> int | None:
        """Fewest nodes that end within so many hours; None where no number does."""
        most = 1
        while self.on(most).hours > hours:
            if self.on(most).limit not in ("cores", "network") or most > 100_000:
                return None
            most *= 2
        low = max(1, most // 2)
        while low < most:
            middle = (low + most) // 2
            low, most = (low, middle) if self.on(middle).hours <= hours else (middle + 1, most)
        return most

    @property
    def request_cost(self) -> float | None:
        """Dollars for requests; nothing on a shared disk."""
        given = self.given
        if not given.object_store:
            return 0.0
        if given.read_price is None or given.write_price is None:
            return None
        return (self.requests.reads * given.read_price + self.requests.writes * given.write_price) / 1000

    def _cost(self, nodes: int, hours: float) -> float | None:
        requests = self.request_cost
        if self.node.price is None or requests is None:
            return None
        return hours * (nodes * self.node.price + (self.given.head_price or 0.0)) + requests

    def to_json(self, estimates: list[Estimate]) -> dict[str, Any]:
        """Everything, for scripts; sizes in bytes."""
        return {
            "corpus": self.corpus,
            "sizes": self.sizes,
            "written_bytes": self.sizes.written_bytes,
            "requests": self.requests,
            "request_cost": self.request_cost,
            "core_hours": self.core_hours,
            "embed_gpu_hours": self.embed_gpu_hours,
            "driver_memory_gb": self.driver_memory_gb,
            "components_memory_gb": self.components_memory_gb,
            "components_in_rounds": self.in_rounds,
            "moved_bytes": self.moved_bytes,
            "node": self.node,
            "workers_a_node": self.node.workers(self.worker_memory_mb),
            "spill_gb_a_node": SPILL_GB,
            "given": self.given,
            "estimates": estimates,
        }


def core_seconds_a_mb(config: Config) -> dict[str, float]:
    """Core seconds a MB of text, by what a run of this config does; models on GPUs apart."""
    rates = dict(CORE_SECONDS_A_MB)
    if config.dedup is None:
        del rates["dedup"]
    elif config.dedup.lines:
        rates["lines"] = LINES_CORE_SECONDS_A_MB
    if config.select is not None:
        rates["select"] = SELECT_CORE_SECONDS_A_MB
    return rates


def seconds_on_this_machine(config: Config, text_bytes: int, workers: int) -> float:
    """How long a run takes from nothing, at the measured rate a core."""
    return START_SECONDS + sum(core_seconds_a_mb(config).values()) * text_bytes / 1e6 / max(1, workers)


def plan_cluster(
    corpus: Corpus, config: Config, id_bytes: int, node: NodeType, given: Assumptions, tokens: int | None = None
) -> ClusterPlan:
    """What a run of ``config`` over ``corpus`` takes, every document kept.

    Args:
        corpus: what is read.
        config: of the run.
        id_bytes: bytes of a token id.
        node: the kind of machine.
        given: storage, prices, and what has not been measured.
        tokens: where they have been counted.
    """
    sizes = sizes_of(corpus, config, id_bytes, tokens)
    rates = core_seconds_a_mb(config)
    select = config.select
    gpu_hours = None
    if select is not None and select.needs_vectors and select.encoder.model != HASHING and given.embed_documents_s:
        gpu_hours = corpus.documents / given.embed_documents_s / 3600
    documents, worker_mb = corpus.documents if config.dedup else 0, config.compute.worker_memory_mb
    how = config.dedup.components if config.dedup else "one_unit"
    in_rounds = how == "rounds" or (how == "auto" and not fit_one_unit(documents, documents, worker_mb))
    core_hours = {name: rate * corpus.text_bytes / 1e6 / 3600 for name, rate in rates.items()}
    if in_rounds:
        core_hours["components in rounds"] = documents * ROUNDS_SECONDS_A_DOCUMENT / 3600
    return ClusterPlan(
        corpus=corpus,
        sizes=sizes,
        requests=requests_of(corpus, sizes),
        core_hours=core_hours,
        embed_gpu_hours=gpu_hours,
        driver_memory_gb=(DRIVER_MEMORY_BYTES + sizes.records * RECORD_MEMORY_BYTES) / 1e9,
        components_memory_gb=worker_mb / 1e3 if in_rounds else documents * CANDIDATE_SHARE * TABLE_BYTES / 1e9,
        in_rounds=in_rounds,
        moved_bytes=corpus.stored_bytes + int(sizes.written_bytes * (1 + REREAD_SHARE)),
        node=node,
        worker_memory_mb=worker_mb,
        given=given,
    )


def basis_of(workers: int, given: Assumptions) -> str:
    """What the time rests on, in a few words."""
    if given.efficiency is not None:
        return f"{given.efficiency:g} of the measured rate a core, as given"
    if workers <= MEASURED_CORES:
        return "the measured rate a core"
    return f"{UNMEASURED_EFFICIENCY:g} of the rate a core, because more than {MEASURED_CORES} cores were not measured"
