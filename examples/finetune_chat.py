"""Instruction fine-tuning with LoRA on packed conversations: the loss is that of what the assistant wrote.

    winnow run examples/finetune_chat.yaml
    python examples/finetune_chat.py runs/chat MODEL-FOLDER          # LoRA on a causal model (safetensors)
    python examples/finetune_chat.py runs/chat --new tiny-llama      # a small Llama with random weights, all trained

The shards' `loss_mask` becomes labels of -100 on every token that is not the assistant's, and positions begin again
with each conversation of a packed row. Printed, before and after: the loss on the assistant's tokens of `val`, and the
answer to its first question.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from pretrain_bert import manifest_of
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from winnow.shards import ShardDataset

ANSWER_TOKENS = 40


def main() -> None:
    """Measure, train, measure again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("location", help="run folder of winnow, or a shard set, made from conversations")
    parser.add_argument("model", nargs="?", help="folder of a causal model whose vocabulary is the shards'")
    parser.add_argument("--new", metavar="FOLDER", help="make a small Llama instead, train all of it, save it here")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=8, help="rows a step")
    parser.add_argument("--rank", type=int, default=8, help="of LoRA's matrices")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--report", type=int, default=50, help="steps between two reports")
    parser.add_argument("--adapter", help="folder to save LoRA's matrices in (safetensors)")
    options = parser.parse_args()
    if (options.model is None) == (options.new is None):
        parser.error("name the folder of a model, or give --new FOLDER")
    shards, manifest = manifest_of(options.location)
    if "loss_mask" not in manifest["shards"]["columns"]:
        parser.error(f"{shards}: no conversations: its rows have no loss_mask")
    size = manifest["vocabulary"]["size"]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    if options.new:
        config = LlamaConfig(
            vocab_size=size, hidden_size=128, intermediate_size=344, num_hidden_layers=4, num_attention_heads=4,
            max_position_embeddings=2048, tie_word_embeddings=True,
        )  # fmt: skip
        model = LlamaForCausalLM(config)
    else:
        if not Path(options.model, "config.json").is_file():
            parser.error(f"{options.model}: not the folder of a model: it holds no config.json")
        model = AutoModelForCausalLM.from_pretrained(options.model, local_files_only=True, use_safetensors=True)
        if model.config.vocab_size < size:
            model.resize_token_embeddings(size)  # the names that the chat template adds
        model = get_peft_model(model, LoraConfig(r=options.rank, target_modules="all-linear", task_type="CAUSAL_LM"))
    model.to(device)

    def batches(split: str, **more: object) -> ShardDataset:
        more |= {"as_dict": True, "shift": False, "position_ids": True}
        return ShardDataset(shards, split, batch_size=options.batch, **more)

    def loss_of(batch: dict[str, Tensor]) -> Tensor:
        return model(**{name: column.to(device) for name, column in batch.items()}).loss

    def held_out() -> float:
        """Mean loss of the assistant's tokens of `val`, in nats."""
        model.eval()
        total, tokens = 0.0, 0
        with torch.no_grad():
            for batch in batches("val", tail="pad"):
                learned = int((batch["labels"][:, 1:] >= 0).sum())
                total, tokens = total + float(loss_of(batch)) * learned if learned else total, tokens + learned
        model.train()
        if not tokens:
            parser.error(f"{shards}: the assistant says nothing in split val; give it a larger share and run again")
        return total / tokens

    def answer() -> str:
        """What the model writes behind the first question of `val`, as ids or, with a tokenizer.json, as text."""
        pairs = (zip(batch["input_ids"], batch["labels"], strict=True) for batch in batches("val", tail="pad"))
        ids, labels = next(row for rows in pairs for row in rows if (row[1] >= 0).any())
        first = int((labels >= 0).nonzero()[0])
        question = ids[None, :first].to(device)
        model.eval()
        with torch.no_grad():
            written = model.generate(question, max_new_tokens=ANSWER_TOKENS, do_sample=False, pad_token_id=0)
        model.train()
        ids = written[0, first:].tolist()
        file = Path(manifest["config"]["tokenise"]["encoding"])
        return json.dumps(Tokenizer.from_file(str(file)).decode(ids) if file.suffix == ".json" else ids)

    trained = [weights for weights in model.parameters() if weights.requires_grad]
    print(
        f"{sum(weights.numel() for weights in trained):,} of "
        f"{sum(weights.numel() for weights in model.parameters()):,} parameters are trained, on {device}"
    )
    before = held_out()
    print(f"before: loss {before:.4f}, perplexity {math.exp(before):,.1f}, answer {answer()}")
    optimizer = torch.optim.AdamW(trained, lr=options.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.learning_rate, total_steps=options.steps)
    started, losses = time.perf_counter(), []
    for step, batch in enumerate(DataLoader(batches("train", epochs=None), batch_size=None), 1):
        loss = loss_of(batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if step % options.report == 0 or step == options.steps:
            seconds = time.perf_counter() - started
            print(f"step {step}: training loss {sum(losses) / len(losses):.4f}, {seconds:.1f} s", flush=True)
            losses.clear()
        if step == options.steps:
            break
    after = held_out()
    print(f"after:  loss {after:.4f}, perplexity {math.exp(after):,.1f}, answer {answer()}")
    if options.new or options.adapter:
        model.save_pretrained(options.new or options.adapter)


if __name__ == "__main__":
    main()
