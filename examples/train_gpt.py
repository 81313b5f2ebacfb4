"""Train a small GPT from Winnow's shards: two minutes on two cores, or on a GPU if there is one.

    winnow run examples/train_gpt.yaml
    python examples/train_gpt.py runs/train-gpt
    python examples/train_gpt.py runs/train-gpt --resume      # after an interrupt: the same losses, to the digit

The shards hold ids of a vocabulary of 200,000, far more than so small a model can learn in two minutes. So it is
trained on the most frequent ids; all others become one. The entropy printed for comparison is that of the same ids.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from winnow.shards import ShardDataset, ShardRows

COUNTED_BATCHES = 500  # of the training split, to find the most frequent ids
VALIDATION_ROWS = 320


class Block(nn.Module):
    """Causal attention, then a layer for each token by itself."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.token_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.token_layer = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:  # [batch, tokens, width]
        batch, tokens, width = x.shape
        mixed = self.queries_keys_values(self.attention_norm(x))
        queries, keys, values = mixed.view(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        x = x + self.attention_out(seen.transpose(1, 2).reshape(batch, tokens, width))
        return x + self.token_layer(self.token_norm(x))


class Gpt(nn.Module):
    """Token and position embeddings, a few blocks, and the embedding again as output layer."""

    def __init__(self, vocabulary: int, tokens: int, width: int = 128, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.position_embedding = nn.Embedding(tokens, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        for embedding in (self.token_embedding, self.position_embedding):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:  # [batch, tokens] -> [batch, tokens, vocabulary]
        x = self.token_embedding(ids) + self.position_embedding.weight[: ids.shape[1]]
        return functional.linear(self.norm(self.blocks(x)), self.token_embedding.weight)


def frequent_ids(shards: str, batch: int, vocabulary: int) -> Tensor:
    """A table from the shards' ids to 0 .. vocabulary - 1: frequent ones get one of their own, all others the last."""
    counts = torch.zeros(0, dtype=torch.int64)
    for number, (ids, _) in enumerate(ShardDataset(shards, batch_size=batch, shuffle_first=True)):
        if number == COUNTED_BATCHES:
            break
        seen = torch.bincount(ids.flatten())
        size = max(len(counts), len(seen))
        counts = functional.pad(counts, (0, size - len(counts))) + functional.pad(seen, (0, size - len(seen)))
    order = torch.sort(counts, descending=True, stable=True).indices[: vocabulary - 1]
    table = torch.full((1 << 20,), vocabulary - 1)  # ids beyond the counted ones are rare, too
    table[order[counts[order] > 0]] = torch.arange(int((counts[order] > 0).sum()))
    return table


def unigram_entropy(batches: list[tuple[Tensor, Tensor]], table: Tensor) -> float:
    """Entropy of the targets, in nats a token: no model that knows frequencies alone has a smaller loss."""
    targets = torch.cat([labels[labels >= 0] for _, labels in batches])
    shares = torch.bincount(table[targets]).double()
    shares = shares[shares > 0] / shares.sum()
    return float(-(shares * shares.log()).sum())


def loss_of(model: Gpt, batch: tuple[Tensor, Tensor], table: Tensor) -> Tensor:
    """Mean cross entropy; labels below 0 (padding) do not count."""
    device = table.device
    ids, labels = (tensor.to(device, non_blocking=True) for tensor in batch)
    labels = torch.where(labels < 0, labels, table[labels.clamp(min=0)])
    return functional.cross_entropy(model(table[ids]).flatten(0, 1), labels.flatten(), ignore_index=-100)


def learning_rate(step: int, steps: int, highest: float) -> float:
    """Rises over the first twentieth, then falls along a cosine to a tenth."""
    rise = max(1, steps // 20)
    if step < rise:
        return highest * (step + 1) / rise
    return highest * (0.55 + 0.45 * math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def shard_set(location: str) -> str:
    """The shard set of a run folder, or the folder itself."""
    state = Path(location) / "state.json"
    return str(Path(location) / json.loads(state.read_bytes())["shards"]) if state.exists() else location


def main() -> None:
    """Train, report and save every few steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("location", help="run folder of winnow, or a shard set")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch", type=int, default=8, help="rows a step")
    parser.add_argument("--vocabulary", type=int, default=2048, help="ids that the model knows")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--report", type=int, default=50, help="steps between two reports, each with a checkpoint")
    parser.add_argument("--workers", type=int, default=1, help="processes that read shards")
    parser.add_argument("--checkpoint", default="train-gpt.pt")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    options = parser.parse_args()
    shards = shard_set(options.location)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)

    # Rows are short here, so a long document fills many in a row: their order is shuffled from the first epoch on.
    data = ShardDataset(shards, global_batch=options.batch, epochs=None, shuffle_first=True)
    held_out_rows = ShardRows(shards, "val")
    chosen = torch.linspace(0, len(held_out_rows) - 1, min(len(held_out_rows), VALIDATION_ROWS)).long()
    validation = [held_out_rows[rows] for rows in chosen.split(options.batch)]
    table = frequent_ids(shards, options.batch, options.vocabulary).to(device)
    model = Gpt(options.vocabulary, validation[0][0].shape[1]).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.1)
    settings = {name: value for name, value in vars(options).items() if name in ("steps", "batch", "vocabulary")}
    first_step = 0
    if options.resume:
        saved = torch.load(options.checkpoint, map_location=device, weights_only=True)
        if saved["settings"] != settings:
            parser.error(f"{options.checkpoint} was made with {saved['settings']}, not {settings}")
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        data.load_state_dict(saved["data"])  # one integer: the samples that were read
        first_step = saved["step"]

    parameters = sum(weights.numel() for weights in model.parameters())
    print(f"{parameters:,} parameters on {device}, {data.rows:,} rows of {validation[0][0].shape[1]} tokens")
    print(f"unigram entropy of the validation rows: {unigram_entropy(validation, table.cpu()):.4f} nats a token")
    print(f"{'step':>6}{'rows':>10}{'training loss':>16}{'validation loss':>18}{'seconds':>10}", flush=True)
    loader = DataLoader(data, batch_size=None, num_workers=options.workers, pin_memory=device.type == "cuda")
    losses: list[Tensor] = []
    started = time.perf_counter()
    for step, batch in enumerate(loader, first_step):
        if step == options.steps:
            break
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, options.steps, options.learning_rate)
        loss = loss_of(model, batch, table)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.detach())
        done = step + 1
        if done % options.report == 0 or done == options.steps:
            with torch.no_grad():
                held_out = torch.stack([loss_of(model, batch, table) for batch in validation]).mean()
            samples = data.samples_after(done - first_step)
            mean, seconds = torch.stack(losses).mean(), time.perf_counter() - started
            print(f"{done:6}{samples:10}{mean:16.6f}{held_out:18.6f}{seconds:10.1f}", flush=True)
            losses.clear()
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": done}
            torch.save({**state, "data": {"samples": samples}, "settings": settings}, f"{options.checkpoint}.new")
            Path(f"{options.checkpoint}.new").replace(options.checkpoint)


if __name__ == "__main__":
    main()
