"""Masked pre-training of a small BERT from Winnow's shards, saved as a folder that `transformers` loads.

    winnow run examples/pretrain_bert.yaml
    python examples/pretrain_bert.py runs/pretrain-bert bert-small
    python examples/finetune_classifier.py runs/reviews bert-small

The shards hold one document a row (`shards.row: document`) in the ids of a `vocab.txt`. 15 % of the tokens are to be
guessed: of them 80 % become [MASK], 10 % another token, 10 % stay (Devlin et al. 2019). Which ones depends on the seed
and the step alone, so a run can be repeated.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import BertConfig, BertForMaskedLM

from winnow.shards import ShardDataset

IGNORED = -100
CHOSEN_SHARE, MASK_SHARE, RANDOM_SHARE = 0.15, 0.8, 0.1


def masked(
    ids: Tensor, special: Tensor, vocabulary: int, mask: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """What the model sees, and what it is to guess (`IGNORED` elsewhere): int64 [batch, tokens] each."""
    chosen = (torch.rand(ids.shape, generator=generator) < CHOSEN_SHARE) & ~torch.isin(ids, special)
    how = torch.rand(ids.shape, generator=generator)
    others = torch.randint(vocabulary, ids.shape, generator=generator)
    seen = torch.where(chosen & (how < MASK_SHARE), mask, ids)
    seen = torch.where(chosen & (how >= MASK_SHARE) & (how < MASK_SHARE + RANDOM_SHARE), others, seen)
    return seen, torch.where(chosen, ids, IGNORED)


def special_ids(manifest: dict) -> dict[str, int]:
    """Name -> id of the special tokens in the `vocab.txt` that the run named."""
    lines = Path(manifest["config"]["tokenise"]["encoding"]).read_text(encoding="utf-8").splitlines()
    return {name: lines.index(name) for name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") if name in lines}


def manifest_of(location: str) -> tuple[str, dict]:
    """The shard set of a run folder (or the folder itself), and its manifest."""
    state = Path(location) / "state.json"
    shards = Path(location) / json.loads(state.read_bytes())["shards"] if state.exists() else Path(location)
    return str(shards), json.loads((shards / "manifest.json").read_bytes())


def main() -> None:
    """Train, report, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("location", help="run folder of winnow, or a shard set")
    parser.add_argument("out", help="folder to save the model in (safetensors)")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=32, help="rows a step")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--report", type=int, default=50, help="steps between two reports")
    options = parser.parse_args()
    shards, manifest = manifest_of(options.location)
    ids = special_ids(manifest)
    if "[MASK]" not in ids:
        parser.error(f"{shards}: its vocabulary has no [MASK]; take a vocab.txt of BERT as tokenise.encoding")
    size, special = manifest["vocabulary"]["size"], torch.tensor(sorted(ids.values()))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)

    def batches(split: str, **more: object) -> ShardDataset:
        more |= {"as_dict": True, "shift": False, "columns": ("attention_mask", "token_type_ids")}
        return ShardDataset(shards, split, batch_size=options.batch, **more)

    config = BertConfig(
        vocab_size=size, hidden_size=options.width, num_hidden_layers=options.layers,
        num_attention_heads=max(1, options.width // 64), intermediate_size=4 * options.width,
        max_position_embeddings=manifest["shards"]["row_tokens"], pad_token_id=ids["[PAD]"],
    )  # fmt: skip
    model = BertForMaskedLM(config).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.learning_rate, total_steps=options.steps)

    def loss_of(batch: dict[str, Tensor], seed: int) -> Tensor:
        seen, wanted = masked(batch["input_ids"], special, size, ids["[MASK]"], torch.Generator().manual_seed(seed))
        inputs = {"input_ids": seen, **{name: batch[name] for name in ("attention_mask", "token_type_ids")}}
        inputs = {name: column.to(device) for name, column in inputs.items()}
        return model(**inputs, labels=wanted.to(device)).loss

    def held_out() -> float:
        model.eval()
        with torch.no_grad():
            found = [loss_of(batch, number) for number, batch in enumerate(batches("val", tail="pad"))]
        model.train()
        return float(torch.stack(found).mean())

    parameters = sum(weights.numel() for weights in model.parameters())
    print(f"{parameters:,} parameters on {device}, {manifest['shards']['splits']['train']['rows']:,} rows")
    print(f"{'step':>6}{'training loss':>16}{'validation loss':>18}{'perplexity':>13}{'seconds':>10}", flush=True)
    started, losses = time.perf_counter(), []
    for step, batch in enumerate(DataLoader(batches("train", epochs=None), batch_size=None), 1):
        loss = loss_of(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if step % options.report == 0 or step == options.steps:
            mean, value, seconds = sum(losses) / len(losses), held_out(), time.perf_counter() - started
            print(f"{step:6}{mean:16.4f}{value:18.4f}{math.exp(value):13.1f}{seconds:10.1f}", flush=True)
            losses.clear()
        if step == options.steps:
            break
    model.save_pretrained(options.out)
    print(f"saved in {options.out}")


if __name__ == "__main__":
    main()
