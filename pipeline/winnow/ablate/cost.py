"""What an ablation costs, before it begins: steps are timed on this machine, as the trials will do them."""

import time
from dataclasses import dataclass, replace
from statistics import median

import torch

from winnow.ablate.model import Gpt
from winnow.ablate.train import Training, device_here, optimizer_of, step, threads
from winnow.engine.config import ComputeConfig
from winnow.engine.executors.processes import workers_of

_TIMED = 3


@dataclass(frozen=True)
class Cost:
    """Of all trials that are to be done."""

    trials: int
    done: int
    """Committed already: they cost nothing."""
    parameters: int
    tokens: int
    """Of all trials together."""
    flops: float
    seconds: float
    """On this machine, with the plan's workers; evaluation and the arms' runs come on top."""
    device: str

    @property
    def sentence(self) -> str:
        """For people."""
        if self.done == self.trials:
            return f"{self.trials:,} trials, all of them done already"
        done = f" ({self.done:,} more are done already)" if self.done else ""
        return (
            f"{self.trials - self.done:,} trials{done}: models of {self.parameters:,} parameters, {self.tokens:,} "
            f"tokens in all, {self.flops:.2g} floating-point operations; training takes about "
            f"{duration(self.seconds)} on this machine ({self.device}), judging not counted"
        )


def duration(seconds: float) -> str:
    """Seconds, minutes or hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def cost_of(
    trainings: list[Training], done: int, row: int, cores: int, compute: ComputeConfig, workers: int = 1
) -> Cost:
    """The cost of trials, of one shape all, of which some are done.

    Args:
        trainings: all that are missing.
        done: how many more there are.
        row: tokens of a row.
        cores: of each trial.
        compute: who does them.
        workers: of each trial, with so many cores or a GPU each; what they say to each other takes no time here.
    """
    if not trainings:
        return Cost(done, done, 0, 0, 0.0, 0.0, str(device_here()))
    first, device = trainings[0], device_here()
    tokens = sum(one.steps * one.rows * row for one in trainings)
    seconds = step_seconds(replace(first, rows=first.rows // workers), row, cores) * sum(one.steps for one in trainings)
    at_once = torch.cuda.device_count() if device.type == "cuda" else 1
    if device.type == "cpu" and compute.executor != "inline":
        at_once = max(1, workers_of(compute) // cores)
    at_once = min(at_once, len(trainings)) if workers == 1 else 1
    flops = sum(first.size.flops(first.vocabulary, one.steps * one.rows * row, row) for one in trainings)
    parameters = first.size.parameters(first.vocabulary)
    share = "GPU" if device.type == "cuda" else f"{cores} core(s) each"
    told = f"{at_once} at a time, {share if workers == 1 else f'{workers} workers, {share}'}"
    return Cost(len(trainings) + done, done, parameters, tokens, flops, seconds / at_once, told)


def step_seconds(training: Training, row: int, cores: int) -> float:
    """Wall seconds of one step, the median of a few with made-up tokens."""
    with threads(cores):
        model = Gpt(training.size, training.vocabulary).to(device_here())
        optimizer = optimizer_of(model, training)
        generator = torch.Generator().manual_seed(0)
        ids = torch.randint(0, training.vocabulary, (training.rows, row), generator=generator)
        taken = []
        for _ in range(1 + _TIMED):
            started = time.perf_counter()
            step(model, optimizer, ids, ids, 1.0)
            taken.append(time.perf_counter() - started)
    return median(taken[1:])
