"""Training one model on one shard set, so that a killed one goes on to the same weights, bit for bit."""

import contextlib
import errno
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from winnow.ablate.model import Gpt
from winnow.ablate.sizes import Size
from winnow.engine.records import Json
from winnow.errors import StorageError
from winnow.fault_point import fault_point
from winnow.shards.dataset.torch_datasets import ShardDataset
from winnow.storage.store import Store

POINTS = 50
"""Of a loss curve: each is the mean of the steps since the one before."""
MOST_LOGITS = {"cpu": 1 << 26, "cuda": 1 << 30}
"""In memory at the same time, float32, by kind of device; a batch with more of them is taken in parts."""
LOST = 1.0
"""Nats a token by which the loss of a point may be above that of guessing evenly before a model has diverged."""
SETTLED = 0.2
"""Share of the steps after which that is looked at: at first, a loss may jump and come back."""


@dataclass(frozen=True)
class Training:
    """What one model is trained on, and how."""

    shards: str
    seed: int
    steps: int
    rows: int
    """Rows a step."""
    size: Size
    vocabulary: int
    rate: float
    weight_decay: float


@dataclass
class Trained:
    """A model and how it went."""

    model: Gpt
    curve: list[tuple[int, float]] = field(default_factory=list)
    """Steps, and the mean training loss of those since the point before, in nats a token."""
    diverged: str = ""
    """At which step, and how; empty where it did not."""
    resumed: int = 0
    """The step that a checkpoint let it go on from."""


class Team:
    """The processes that train one model together, and which of them this one is; here it is alone."""

    rank, size = 0, 1

    def total(self, number: float) -> float:
        """The sum of a number over all of them."""
        return number

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all of them."""


ALONE = Team()


def rate_factor(step: int, steps: int) -> float:
    """Of the highest rate: rises over the first twentieth, then falls along a cosine to a tenth."""
    rise = max(1, steps // 20)
    if step < rise:
        return (step + 1) / rise
    return 0.55 + 0.45 * math.cos(math.pi * (step - rise) / max(1, steps - rise))


@contextlib.contextmanager
def threads(number: int) -> Iterator[None]:
    """While this lasts, torch uses so many cores and nothing that gives other bits each time."""
    before, exact = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(number)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(exact)


def device_here() -> torch.device:
    """The GPU that this process may use, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def rows_at_once(model: Gpt, row: int) -> int:
    """Rows of so many tokens whose logits fit into memory together; at least 1."""
    vocabulary, device = int(model.embedding.num_embeddings), str(model.embedding.weight.device.type)
    return max(1, MOST_LOGITS[device] // (row * vocabulary))


def loss_sum(model: Gpt, ids: Tensor, labels: Tensor) -> Tensor:
    """Sum of the cross entropy float32, in nats; labels below 0 do not count. bf16 on a GPU."""
    with torch.autocast("cuda", torch.bfloat16, enabled=ids.is_cuda):
        logits = model(ids)
    return functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="sum")


def step(
    model: Gpt, optimizer: torch.optim.Optimizer, ids: Tensor, labels: Tensor, factor: float, team: Team = ALONE
) -> float:
    """One step; returns the mean loss before it, in nats a token. Of a team, each gives its own rows of the step."""
    for group in optimizer.param_groups:
        group["lr"] = group["highest"] * factor
    optimizer.zero_grad(set_to_none=True)
    device = model.embedding.weight.device
    counted = max(1, int(team.total(int((labels >= 0).sum()))))
    part = rows_at_once(model, ids.shape[1])
    loss = 0.0
    for some, wanted in zip(ids.split(part), labels.split(part), strict=True):
        share = loss_sum(model, some.to(device), wanted.to(device)) / counted
        share.backward()
        loss += float(share.detach())
    team.add_up([weight.grad for weight in model.parameters() if weight.grad is not None])
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return team.total(loss)


def optimizer_of(model: Gpt, training: Training) -> torch.optim.Optimizer:
    """AdamW over the model's groups."""
    return torch.optim.AdamW(model.groups(training.rate, training.weight_decay), lr=training.rate, betas=(0.9, 0.95))


def train(training: Training, store: Store, checkpoint: str, every: int, team: Team = ALONE) -> Trained:
    """Train to the last step, from the checkpoint where there is one.

    Args:
        training: what is done; the result depends on nothing else.
        store: where the checkpoint lies.
        checkpoint: its path.
        every: steps between two of them.
        team: who trains it together; all end with the same model, and the first writes checkpoints.

    Raises:
        ShardError: a shard is missing or damaged. StorageError: not all of the team read the same checkpoint.
    """
    data = ShardDataset(
        training.shards, global_batch=training.rows, rank=team.rank, world_size=team.size, epochs=None,
        seed=training.seed, shuffle_first=True,
    )  # fmt: skip
    model = Gpt(training.size, training.vocabulary, training.seed).to(device_here())
    trained = Trained(model)
    optimizer = optimizer_of(model, training)
    saved = _read(store, checkpoint)
    losses: list[float] = []
    if saved is not None:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        data.load_state_dict(saved["data"])  # one integer: the samples that were read
        trained.curve, losses, trained.resumed = saved["curve"], saved["losses"], saved["step"]
    if team.total(trained.resumed) != team.size * trained.resumed:
        told = "workers of one trial read other checkpoints; `ablation` must be a folder that all nodes share"
        raise StorageError(errno.ESTALE, told, checkpoint)
    points = {round(training.steps * (point + 1) / POINTS) for point in range(POINTS)} - {0}
    begun = trained.resumed
    batches = iter(data)
    for at in range(begun, training.steps):
        ids, labels = next(batches)
        losses.append(step(model, optimizer, ids, labels, rate_factor(at, training.steps), team))
        done = at + 1
        fault_point("step", number=done)
        if not math.isfinite(losses[-1]):
            trained.diverged = f"step {done:,}: the loss is {losses[-1]}"
            break
        if done in points:
            trained.curve.append((done, sum(losses) / len(losses)))
            losses.clear()
            if done > SETTLED * training.steps and trained.curve[-1][1] > math.log(training.vocabulary) + LOST:
                trained.diverged = f"step {done:,}: the loss is {trained.curve[-1][1]:.2f}, worse than guessing"
                break
        if done % every == 0 and done < training.steps and team.rank == 0:
            state: Json = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": done}
            state |= {"data": {"samples": data.samples_after(done - begun)}}
            _write(store, checkpoint, state | {"curve": trained.curve, "losses": losses})
    return trained


def _read(store: Store, path: str) -> Any:
    """A checkpoint; None where there is none, or a damaged one: then the trial begins anew."""
    try:
        return torch.load(io.BytesIO(store.read(path)), map_location=device_here(), weights_only=True)
    except FileNotFoundError:
        return None
    except Exception:  # noqa: BLE001 - torch has no one error for what is no checkpoint
        store.remove(path)
        return None


def _write(store: Store, path: str, state: Json) -> None:
    content = io.BytesIO()
    torch.save(state, content)
    store.replace(path, content.getvalue())
