"""The section `compute` of the config."""

from typing import Annotated, Literal

from pydantic import Field

from winnow.section import Section

Keep = Literal["all", "needed"]


class ComputeConfig(Section):
    """How and where the work is done. Nothing here changes a byte of the result."""

    executor: Literal["auto", "ray", "processes", "inline"] = "auto"
    """`ray` fans units out over the cluster, or a Ray of its own on this machine; `processes` over processes of this
    machine without Ray; `inline` runs them one after another in this process. `auto` is Ray where a cluster is joined
    (RAY_ADDRESS), for GPUs, and from 8 GB of work; this process under 16 MB; `processes` between."""
    workers: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Units at the same time; `auto` is one a core of the cluster, as it grows and shrinks: nodes that join while a
    stage runs get units, and an autoscaler is asked for a core for every unit that waits."""
    worker_memory_mb: int = Field(2048, ge=256)
    """Memory a worker may use; batches are sized from it, and Ray places workers by it."""
    unit_mb: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Raw input a unit takes, in MB: larger units cost less overhead, smaller ones spread and resume better. `auto`
    is 64, smaller (8 at least) for less than 256 MB of text, and grows with the text beyond 262 GB, up to an eighth of
    `worker_memory_mb`."""
    partition_mb: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Target size of one exchange partition, in MB; a reduce unit holds one in memory. `auto` is 256, and grows as
    `unit_mb` does."""
    gpus: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    """Actors that hold a GPU, for stages that can use one; `auto` is as many as the cluster has room for when a stage
    begins and later (a cluster without any when it begins computes on CPUs), 0 is none."""
    gpu_share: float = Field(1.0, gt=0, le=1)
    """Share of a GPU that each of them holds: 0.5 puts two on one."""
    keep: Keep = "all"
    """What stays in `work/`: `all` that was computed, so that changed settings find it; or `needed`, where tables that
    no later stage of the run reads are removed once it has gone past: band keys, edges and candidates of duplicates,
    what a sample was ordered by, and token ids once they are shuffled. The disk then holds a third less at its fullest,
    and what changed settings need of these tables is computed again."""
    attempts: int = Field(3, ge=1)
    """How often a failing unit is tried before the run fails; in the last one, documents that end their worker are
    looked for and recorded as unreadable."""
    unit_timeout_minutes: float | None = Field(None, gt=0)
    """A worker that is at one unit for longer is killed and the unit tried again; null: never. Not with `inline`."""
    max_unreadable_share: float = Field(0.01, ge=0, le=1)
    """The run fails (exit code 2) when a larger share of the records, or of the input bytes, cannot be read."""
    grace_seconds: float = Field(60.0, ge=0)
    """After SIGTERM or Ctrl-C, how long running units may take to commit, in seconds; then the run ends at once."""
