"""Train a small GPT from Winnow's shards: two minutes on two cores, or on a GPU if there is one.

    winnow run examples/train_gpt.yaml
    python examples/train_gpt.py runs/train-gpt
    python examples/train_gpt.py runs/train-gpt --resume      # after an interrupt: the same losses, to the digit

The shards hold ids of a vocabulary of 200,000, far more than so small a model can learn in two minutes. So it is
trained on the most frequent ids; all others become one. The entropy printed for comparison is that of the same ids.
At the end: text that the model writes, and each source's perplexity in `val` (of shards with `columns: [docs]`).
"""

import argparse
import json
import math
import time
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

import winnow
from winnow.runs.run import load_run_vocabulary
from winnow.shards import ShardDataset, ShardRows

COUNTED_BATCHES = 500  # of the training split, to find the most frequent ids
VALIDATION_ROWS = 320
Batch = dict[str, Tensor]  # whole rows: input_ids, labels, position_ids, int64 [batch, tokens]


def rotated(x: Tensor, positions: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021): pairs of numbers of x [batch, heads, tokens, width], turned by their place."""
    half = x.shape[-1] // 2
    turns = positions[:, None, :, None] / 10_000 ** (torch.arange(half, device=x.device) / half)
    one, two = x[..., :half], x[..., half:]
    return torch.cat([one * turns.cos() - two * turns.sin(), two * turns.cos() + one * turns.sin()], dim=-1)


def same_document(positions: Tensor) -> Tensor:
    """What each token sees, bool [batch, 1, tokens, tokens]: those up to it in its document, which begins at 0."""
    document = (positions == 0).cumsum(1)
    return (document[:, :, None] == document[:, None, :]).tril()[:, None]


class Block(nn.Module):
    """Causal attention, then a layer for each token by itself."""

    def __init__(self, width: int, heads: int, rotary: bool) -> None:
        super().__init__()
        self.heads, self.rotary = heads, rotary
        self.attention_norm, self.token_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.token_layer = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def attention(self, x: Tensor, positions: Tensor, seen: Tensor | None) -> Tensor:
        batch, tokens, width = x.shape
        mixed = self.queries_keys_values(x)
        queries, keys, values = mixed.view(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        if self.rotary:
            queries, keys = rotated(queries, positions), rotated(keys, positions)
        found = functional.scaled_dot_product_attention(queries, keys, values, seen, is_causal=seen is None)
        return self.attention_out(found.transpose(1, 2).reshape(batch, tokens, width))

    def forward(self, x: Tensor, positions: Tensor, seen: Tensor | None) -> Tensor:  # [batch, tokens, width]
        x = x + self.attention(self.attention_norm(x), positions, seen)
        return x + self.token_layer(self.token_norm(x))


class Gpt(nn.Module):
    """Token embeddings, positions, a few blocks, and the embedding again as output layer."""

    def __init__(
        self, vocabulary: int, tokens: int, width: int = 128, layers: int = 2, heads: int = 4, rotary: bool = True
    ) -> None:
        super().__init__()
        self.tokens = tokens
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.position_embedding = None if rotary else nn.Embedding(tokens, width, _weight=torch.zeros(tokens, width))
        self.blocks = nn.ModuleList(Block(width, heads, rotary) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.token_embedding.weight, std=0.02)

    def forward(self, ids: Tensor, positions: Tensor | None = None) -> Tensor:
        """[batch, tokens] -> [batch, tokens, vocabulary]; with positions, each document of a row is by itself."""
        seen = None if positions is None else same_document(positions)
        positions = torch.arange(ids.shape[1], device=ids.device)[None] if positions is None else positions
        x = self.token_embedding(ids)
        if self.position_embedding is not None:
            x = x + self.position_embedding(positions)
        for block in self.blocks:
            x = block(x, positions, seen)
        return functional.linear(self.norm(x), self.token_embedding.weight)

    @torch.no_grad()
    def write(self, ids: list[int], never: int, number: int = 60, seed: int = 0) -> list[int]:
        """Go on after some ids, one drawn after the other; ``never`` is not drawn."""
        draws, device = torch.Generator().manual_seed(seed), self.token_embedding.weight.device
        for _ in range(number):
            logits = self(torch.tensor([ids[-self.tokens :]], device=device))[0, -1].cpu() / 0.8
            logits[never] = -math.inf
            ids = [*ids, int(torch.multinomial(logits.softmax(0), 1, generator=draws))]
        return ids


def frequent_ids(shards: str, batch: int, vocabulary: int) -> tuple[Tensor, Tensor]:
    """A table from the shards' ids to 0 .. vocabulary - 1 (frequent ones get one of their own, all others the last),
    and the shards' id of each but the last."""
    counts = torch.zeros(1 << 20, dtype=torch.int64)
    for ids, _ in islice(ShardDataset(shards, batch_size=batch, shuffle_first=True), COUNTED_BATCHES):
        counts += torch.bincount(ids.flatten(), minlength=len(counts))
    order = torch.sort(counts, descending=True, stable=True).indices[: vocabulary - 1]
    order = order[counts[order] > 0]
    table = torch.full((len(counts),), vocabulary - 1)
    table[order] = torch.arange(len(order))
    return table, order


def unigram_entropy(batches: list[Batch], table: Tensor) -> float:
    """Entropy of the targets, in nats a token: no model that knows frequencies alone has a smaller loss."""
    targets = torch.cat([batch["labels"][:, 1:].flatten() for batch in batches])
    shares = torch.bincount(table[targets[targets >= 0]]).double()
    shares = shares[shares > 0] / shares.sum()
    return float(-(shares * shares.log()).sum())


def losses_of(model: Gpt, batch: Batch, table: Tensor, within_documents: bool) -> tuple[Tensor, Tensor]:
    """Cross entropy of each token but the first [batch, tokens - 1], 0 on padding, and the mean of the others."""
    batch = {name: tensor.to(table.device, non_blocking=True) for name, tensor in batch.items()}
    ids, labels, positions = batch["input_ids"], batch["labels"][:, 1:], batch["position_ids"]
    if within_documents:  # what begins a document follows from nothing
        labels = labels.masked_fill(positions[:, 1:] == 0, -100)
    labels = torch.where(labels < 0, labels, table[labels.clamp(min=0)])
    logits = model(table[ids[:, :-1]], positions[:, :-1] if within_documents else None)
    each = functional.cross_entropy(logits.transpose(1, 2), labels, ignore_index=-100, reduction="none")
    return each, each.sum() / (labels >= 0).sum().clamp(min=1)


def learning_rate(step: int, steps: int, highest: float) -> float:
    """Rises over the first twentieth, then falls along a cosine to a tenth."""
    rise = max(1, steps // 20)
    falling = 0.55 + 0.45 * math.cos(math.pi * (step - rise) / max(1, steps - rise))
    return highest * ((step + 1) / rise if step < rise else falling)


def source_of_targets(run: winnow.Run, rows: Tensor, row_tokens: int) -> tuple[list[str], Tensor]:
    """Names of the sources, and which one each target of some rows of `val` is of: int64 [rows, tokens], -1: none."""
    files = [f"{run.shards}/{shard['path']}" for shard in run.manifest["shards"]["splits"]["val"]["shards"]]
    pieces = pa.concat_tables(pq.read_table(file, columns=["docs", "doc_lens"]) for file in files).take(rows.tolist())
    known = run.table("documents").to_table(columns=["doc", "source"]).to_pydict()
    names = sorted(set(known["source"]))
    number = {doc: names.index(source) for doc, source in zip(known["doc"], known["source"], strict=True)}
    found = torch.full((len(rows), row_tokens), -1)
    for row, piece in zip(found, pieces.to_pylist(), strict=True):
        lengths = torch.tensor(piece["doc_lens"])
        row[: lengths.sum()] = torch.tensor([number[doc] for doc in piece["docs"]]).repeat_interleave(lengths)
    return names, found[:, 1:]


def main() -> None:
    """Train, report and save every few steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("location", help="run folder of winnow, or a shard set")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch", type=int, default=8, help="rows a step")
    parser.add_argument("--vocabulary", type=int, default=2048, help="ids that the model knows")
    parser.add_argument("--positions", choices=["rotary", "learned"], default="rotary")
    parser.add_argument("--within-documents", action="store_true", help="no token sees another document of its row")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--report", type=int, default=50, help="steps between two reports, each with a checkpoint")
    parser.add_argument("--workers", type=int, default=1, help="processes that read shards")
    parser.add_argument("--checkpoint", default="train-gpt.pt")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    options = parser.parse_args()
    run = winnow.open(options.location) if Path(options.location, "state.json").exists() else None
    shards, within = options.location if run is None else run.shards, options.within_documents
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)

    # Rows are short here, so a long document fills many in a row: their order is shuffled from the first epoch on.
    form = {"as_dict": True, "position_ids": True, "shift": False}
    data = ShardDataset(shards, global_batch=options.batch, epochs=None, shuffle_first=True, **form)
    held_out_rows = ShardRows(shards, "val", **form)
    chosen = torch.linspace(0, len(held_out_rows) - 1, min(len(held_out_rows), VALIDATION_ROWS)).long()
    validation = [held_out_rows[rows] for rows in chosen.split(options.batch)]
    tokens = validation[0]["labels"].shape[1] - 1
    table, ids_of = (found.to(device) for found in frequent_ids(shards, options.batch, options.vocabulary))
    model = Gpt(options.vocabulary, tokens, rotary=options.positions == "rotary").to(device)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.1)
    same = ("steps", "batch", "vocabulary", "positions", "within_documents", "learning_rate")
    first_step, settings = 0, {name: value for name, value in vars(options).items() if name in same}
    if options.resume:
        saved = torch.load(options.checkpoint, map_location=device, weights_only=True)
        if saved["settings"] != settings:
            parser.error(f"{options.checkpoint} was made with {saved['settings']}, not {settings}")
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        data.load_state_dict(saved["data"])  # one integer: the samples that were read
        first_step = saved["step"]

    parameters = sum(weights.numel() for weights in model.parameters())
    print(f"{parameters:,} parameters on {device}, {data.rows:,} rows of {tokens} tokens")
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
        _, loss = losses_of(model, batch, table, within)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.detach())
        done = step + 1
        if done % options.report == 0 or done == options.steps:
            with torch.no_grad():
                held_out = torch.stack([losses_of(model, batch, table, within)[1] for batch in validation]).mean()
            samples = data.samples_after(done - first_step)
            mean, seconds = torch.stack(losses).mean(), time.perf_counter() - started
            print(f"{done:6}{samples:10}{mean:16.6f}{held_out:18.6f}{seconds:10.1f}", flush=True)
            losses.clear()
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": done}
            torch.save({**state, "data": {"samples": samples}, "settings": settings}, f"{options.checkpoint}.new")
            Path(f"{options.checkpoint}.new").replace(options.checkpoint)
    if run is None:
        return  # a shard set alone does not say what its ids stand for, nor where its documents are from
    written = model.write(table[batch["input_ids"][0, :8]].tolist(), never=options.vocabulary - 1)
    text = load_run_vocabulary(run.config).decode([int(ids_of[number]) for number in written if number < len(ids_of)])
    print(f"written after 8 tokens of a row: {json.dumps(text.decode(errors='replace'), ensure_ascii=False)}")
    if "docs" in run.manifest["shards"]["columns"]:
        with torch.no_grad():
            each = torch.cat([losses_of(model, batch, table, within)[0].cpu() for batch in validation])
        names, source = source_of_targets(run, chosen, tokens + 1)
        for number, name in enumerate(names):
            if len(mine := each[source == number]):
                print(f"perplexity of {name}: {float(mine.mean().exp()):.2f} ({len(mine):,} tokens)")


if __name__ == "__main__":
    main()
