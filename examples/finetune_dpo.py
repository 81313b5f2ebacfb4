"""Direct preference optimisation with trl on preference pairs: is the chosen answer likelier than before?

    winnow run examples/finetune_dpo.yaml
    python examples/finetune_dpo.py runs/preferences MODEL-FOLDER         # a causal model (safetensors)
    python examples/finetune_dpo.py runs/preferences --new tiny-llama     # a small Llama, taught the chosen ones

The shards hold the ids of prompts and answers already (`prompt_ids`, `chosen_ids`, `rejected_ids`), so trl's trainer is
told not to prepare them again. Printed, before and after, of `val`: the loss, how much likelier the chosen answer is
than the rejected one (in nats), the same against the model at the beginning (the reward margin, times beta), and of how
many pairs the chosen answer has the higher reward.
"""

import argparse
import copy
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from datasets import Dataset
from peft import LoraConfig
from pretrain_bert import manifest_of
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch.nn import functional
from torch.utils.data import DataLoader
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, PrinterCallback
from trl import DPOConfig, DPOTrainer

from winnow.shards import ShardDataset


class TrainerOnIds(DPOTrainer):
    """trl's trainer on pairs that have their ids."""

    def _prepare_dataset(self, dataset: Dataset, *_: object) -> Dataset:
        return dataset


def pairs_of(shards: str, manifest: dict, split: str) -> Dataset:
    """The pairs of a split. Large sets: `datasets.load_dataset("parquet", data_files=..., streaming=True)`."""
    files = [Path(shards, shard["path"]) for shard in manifest["shards"]["splits"][split]["shards"]]
    if not files:
        raise SystemExit(f"{shards}: no pairs in split {split}; give it a larger share (shards.splits) and run again")
    return Dataset(pa.concat_tables([pq.read_table(file) for file in files]))


def taught_llama(shards: str, vocabulary: int, steps: int, batch: int) -> LlamaForCausalLM:
    """A small Llama that was trained on the chosen answers alone: what preferences are then learned on."""
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=128, intermediate_size=344, num_hidden_layers=4, num_attention_heads=4,
        max_position_embeddings=2048, tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.0)
    data = ShardDataset(shards, batch_size=batch, epochs=None, as_dict=True, shuffle_first=True)
    loss = torch.zeros(())
    for step, pairs in enumerate(DataLoader(data, batch_size=None)):
        if step == steps:
            break
        chosen = {name: column[:batch] for name, column in pairs.items()}  # the first half; then the rejected ones
        logits = model(chosen["input_ids"], attention_mask=chosen["attention_mask"]).logits
        targets = chosen["input_ids"].masked_fill(chosen["completion_mask"] == 0, -100)
        loss = functional.cross_entropy(logits[:, :-1].flatten(0, 1), targets[:, 1:].flatten(), ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"taught the chosen answers in {steps} steps, loss {float(loss.detach()):.4f}", flush=True)
    return model


def main() -> None:
    """Measure, train, measure again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("location", help="run folder of winnow, or a shard set, made from preference pairs")
    parser.add_argument("model", nargs="?", help="folder of a causal model whose vocabulary is the shards'")
    parser.add_argument("--new", metavar="FOLDER", help="make a small Llama instead, and save it here before DPO")
    parser.add_argument("--teach", type=int, default=200, help="steps on the chosen answers, with --new")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=8, help="pairs a step")
    parser.add_argument("--beta", type=float, default=0.1, help="small: the model may go far from its start")
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--rank", type=int, help="train LoRA's matrices of this rank instead of all weights")
    parser.add_argument("--out", default="dpo", help="folder to save the model, or LoRA's matrices, in (safetensors)")
    options = parser.parse_args()
    if (options.model is None) == (options.new is None):
        parser.error("name the folder of a model, or give --new FOLDER")
    shards, manifest = manifest_of(options.location)
    if manifest["shards"]["row"] != "preference":
        parser.error(f"{shards}: no preference pairs: its rows are of kind {manifest['shards']['row']}")
    vocabulary = manifest["vocabulary"]["size"]
    torch.manual_seed(0)
    if options.new:
        model = taught_llama(shards, vocabulary, options.teach, options.batch)
        model.save_pretrained(options.new)
    else:
        if not Path(options.model, "config.json").is_file():
            parser.error(f"{options.model}: not the folder of a model: it holds no config.json")
        model = AutoModelForCausalLM.from_pretrained(options.model, local_files_only=True, use_safetensors=True)
        if model.config.vocab_size < vocabulary:
            model.resize_token_embeddings(vocabulary)  # the names that the chat template adds

    has_gpu = torch.cuda.is_available()
    settings = DPOConfig(
        output_dir=options.out, max_steps=options.steps, per_device_train_batch_size=options.batch,
        per_device_eval_batch_size=options.batch, learning_rate=options.learning_rate, beta=options.beta,
        max_length=manifest["shards"]["sequence_tokens"], bf16=has_gpu, use_cpu=not has_gpu,
        save_strategy="no", logging_strategy="no", report_to=[], disable_tqdm=True, seed=0,
    )  # fmt: skip
    # trl asks for a tokeniser; here it only names what pads a batch, and its masks leave that out
    padding = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"[PAD]": 0})), pad_token="[PAD]")  # noqa: S106
    lora = options.rank and LoraConfig(r=options.rank, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = TrainerOnIds(
        model, None if lora else copy.deepcopy(model), settings, processing_class=padding, peft_config=lora or None,
        train_dataset=pairs_of(shards, manifest, "train"), eval_dataset=pairs_of(shards, manifest, "val"),
    )  # fmt: skip

    trainer.remove_callback(PrinterCallback)  # what counts is printed below

    def held_out(when: str) -> None:
        found = trainer.evaluate()
        likelier = found["eval_logps/chosen"] - found["eval_logps/rejected"]
        print(
            f"{when} loss {found['eval_loss']:.4f}, chosen over rejected {likelier:.3f} nats, "
            f"reward margin {found['eval_rewards/margins']:.4f}, accuracy {found['eval_rewards/accuracies']:.3f}",
            flush=True,
        )

    print(f"{len(trainer.train_dataset):,} pairs to learn from, {len(trainer.eval_dataset):,} to judge by")
    held_out("before:")
    started = time.perf_counter()
    found = trainer.train()
    print(f"{options.steps} steps, training loss {found.training_loss:.4f}, {time.perf_counter() - started:.1f} s")
    held_out("after: ")
    trainer.model.save_pretrained(options.out)


if __name__ == "__main__":
    main()
