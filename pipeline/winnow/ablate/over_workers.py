"""One trial over several workers of Ray Train, each with its share of every step's rows.

A trial stays a unit of the engine: its record, its retries and its checkpoints are those of every trial, done in this
process. Ray Train is below that. It starts the workers of one trial together, gives each its GPU or cores, and joins
them in a process group of torch (NCCL on GPUs, gloo on CPUs).
"""

import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import ray
import ray.train.torch
import torch
from torch import Tensor
from torch import distributed as dist

from winnow.ablate.train import Team, device_here
from winnow.engine.config import ComputeConfig
from winnow.engine.executors.connect import connect_ray
from winnow.engine.executors.demand import can_start
from winnow.engine.executors.gpu_pool import check_gpus, gpu_actors
from winnow.engine.records import Json
from winnow.engine.stopping import Stop
from winnow.errors import ClusterError

_train: Any = ray.train  # its types are those of its first version, which RAY_TRAIN_V2_ENABLED=0 would bring back


class RayTeam(Team):
    """The workers of a trial; made in one of them."""

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def total(self, number: float) -> float:
        """The sum of a number over all of them, float64."""
        one = torch.tensor(number, dtype=torch.float64, device=device_here())
        dist.all_reduce(one)
        return float(one)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all of them.

        All at once and always in this order: torch's DistributedDataParallel cuts them into other pieces after the
        first step, so that a resumed trial would add up in another order than one that was never killed.
        """
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, summed in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(summed.view_as(tensor))


def make_room(compute: ComputeConfig, workers: int, threads: int, stop: Stop) -> bool:
    """Connect to Ray, and look whether it has room for the workers of a trial; returns whether each gets a GPU.

    Raises:
        ClusterError: it has not, and no autoscaler may make it.
    """
    connect_ray(workers * threads, compute.worker_memory_mb, stop)
    check_gpus(compute, stop)
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    gpus = gpu_actors(compute.model_copy(update={"gpu_share": 1.0}))  # NCCL takes one worker a GPU
    if 0 < gpus < workers and not (compute.gpus == "auto" and can_start("GPU")):
        raise ClusterError(
            f"train.workers is {workers}, and there are GPUs for {gpus} of them; give as many workers as GPUs at most, "
            "or `compute.gpus: 0` for CPUs"
        )
    cores = resources.get("CPU", 0)
    if cores < workers * threads and not can_start("CPU"):
        raise ClusterError(
            f"train.workers ({workers}) with train.threads ({threads}) take {workers * threads} cores, and Ray has "
            f"{cores:.0f}; give fewer of them"
        )
    return gpus > 0


def over_workers(work: Callable[[Team], Json], workers: int, threads: int, *, gpus: bool) -> Json:
    """Do ``work`` in each of the workers, and return what the first one's gives.

    Args:
        work: what each does with its team; a function that can be sent to them.
        workers: how many.
        threads: cores of each.
        gpus: whether each gets a GPU; they then see that one alone as ``cuda``.

    Raises:
        RuntimeError: a worker died, or its work raised.
    """

    def loop() -> Json:
        return work(RayTeam())

    scaling = _train.ScalingConfig(
        num_workers=workers, use_gpu=gpus, resources_per_worker={"CPU": threads, **({"GPU": 1} if gpus else {})}
    )
    hidden = {} if gpus else {"env_vars": {"CUDA_VISIBLE_DEVICES": ""}}  # Ray leaves them in sight
    found: Future[Any] = Future()
    with tempfile.TemporaryDirectory(prefix="winnow-ray-train-") as folder:  # for Ray's own notes on the trial
        config = _train.RunConfig(storage_path=folder, worker_runtime_env=hidden)
        trainer = _train.torch.TorchTrainer(loop, scaling_config=scaling, run_config=config)

        def fit() -> None:
            try:
                found.set_result(trainer.fit().return_value)
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                found.set_exception(error)

        # in the main thread Ray would take Ctrl-C for itself, and the run could not be asked to stop
        threading.Thread(target=fit, daemon=True, name="ray-train").start()
        try:
            returned: Json = found.result()
        except _train.TrainingFailedError as error:
            raise RuntimeError(f"Ray Train: {_told(error)}") from error
    return returned


def _told(error: Exception) -> str:
    """What became of the workers; Ray tells it with traces and advice, over many lines."""
    failures: dict[int, BaseException] = getattr(error, "worker_failures", {})
    each = [f"worker {rank}: {type(one).__name__}: {one}" for rank, one in sorted(failures.items())]
    return "; ".join(one.partition("\n")[0] for one in each) or " ".join(str(error).split("\n")[:2])
