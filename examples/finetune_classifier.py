"""Fine-tune a classifier on labelled documents: accuracy, precision, recall, F1 and the confusion matrix on `test`.

    winnow run examples/finetune_classifier.yaml
    python examples/finetune_classifier.py runs/reviews bert-small        # a folder of safetensors
    python examples/finetune_classifier.py runs/reviews --new             # the same small BERT, not pre-trained

The splits are Winnow's: stratified, and no copy of a training document, near-duplicates included, is in `test`. The
weights that are best on `val` are judged on `test`, once.
"""

import argparse
import copy
import time
from pathlib import Path

import numpy as np
import torch
from pretrain_bert import manifest_of, special_ids
from sklearn.metrics import classification_report, confusion_matrix
from torch.utils.data import DataLoader
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification

from winnow.shards import ShardDataset


def main() -> None:
    """Train, choose by `val`, judge on `test`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("location", help="run folder of winnow, or a shard set, with labels")
    parser.add_argument("model", nargs="?", help="folder of a model whose vocabulary is the shards'")
    parser.add_argument("--new", action="store_true", help="begin with random weights")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32, help="rows a step")
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--out", help="folder to save the classifier in (safetensors)")
    options = parser.parse_args()
    if bool(options.model) == options.new:
        parser.error("name the folder of a model, or give --new")
    shards, manifest = manifest_of(options.location)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)

    def batches(split: str, **more: object) -> ShardDataset:
        columns = ("attention_mask", "token_type_ids")
        return ShardDataset(
            shards, split, batch_size=options.batch, as_dict=True, shift=False, columns=columns, tail="pad", **more
        )

    training = batches("train", epochs=options.epochs, shuffle_first=True)
    names = training.label_names
    if not names:
        parser.error(f"{shards}: its documents have no labels; give the sources a `label` and run again")
    in_training = manifest["shards"]["splits"]["train"]["labels"]
    unknown = [name for name, documents in zip(names, in_training, strict=True) if not documents]
    if unknown:  # such as a label of one document that is a near-duplicate of others
        print(f"WARNING: no training document has the class {', '.join(unknown)}: nothing of it is learned")
    labels = {"num_labels": len(names), "id2label": dict(enumerate(names))}
    if options.new:
        config = BertConfig(
            vocab_size=manifest["vocabulary"]["size"], hidden_size=128, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=512, max_position_embeddings=manifest["shards"]["row_tokens"],
            pad_token_id=special_ids(manifest)["[PAD]"], **labels,
        )  # fmt: skip
        model = BertForSequenceClassification(config)
    else:
        if not Path(options.model, "config.json").is_file():
            parser.error(f"{options.model}: not the folder of a model: it holds no config.json")
        model = AutoModelForSequenceClassification.from_pretrained(
            options.model, local_files_only=True, use_safetensors=True, **labels
        )
        if model.config.vocab_size != manifest["vocabulary"]["size"]:
            parser.error(
                f"{options.model} has {model.config.vocab_size} ids, the shards {manifest['vocabulary']['size']}: "
                "run winnow with the vocabulary of the model"
            )
    model.to(device)

    def judged(split: str) -> tuple[np.ndarray, np.ndarray]:
        """The class of each document of a split, and the one that the model names."""
        model.eval()
        wanted, found = [], []
        with torch.no_grad():
            for batch in batches(split):
                inputs = {name: column.to(device) for name, column in batch.items() if name not in ("label", "labels")}
                real = batch["label"] >= 0  # rows that complete the last step have none
                found.append(model(**inputs).logits.argmax(-1).cpu()[real])
                wanted.append(batch["label"][real])
        model.train()
        return torch.cat(wanted).numpy(), torch.cat(found).numpy()

    rows = manifest["shards"]["splits"]["train"]["rows"]
    steps = -(-rows * options.epochs // options.batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.learning_rate, total_steps=steps)
    print(f"{rows:,} documents of {len(names)} classes, {steps} steps on {device}")
    print(f"{'step':>6}{'training loss':>16}{'accuracy on val':>18}{'seconds':>10}", flush=True)
    best, weights, losses, started = -1.0, {}, [], time.perf_counter()
    for step, batch in enumerate(DataLoader(training, batch_size=None), 1):
        inputs = {name: column.to(device) for name, column in batch.items() if name not in ("label", "labels")}
        loss = model(**inputs, labels=batch["label"].to(device)).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if step % max(1, steps // options.epochs) == 0 or step == steps:
            wanted, found = judged("val")
            accuracy = float((wanted == found).mean())
            seconds = time.perf_counter() - started
            print(f"{step:6}{sum(losses) / len(losses):16.4f}{accuracy:18.4f}{seconds:10.1f}", flush=True)
            losses.clear()
            if accuracy > best:
                best, weights = accuracy, copy.deepcopy(model.state_dict())
    model.load_state_dict(weights)
    wanted, found = judged("test")
    every = list(range(len(names)))
    print(classification_report(wanted, found, labels=every, target_names=names, digits=3, zero_division=0))
    print("rows: the class of a document, columns: the class that the model names")
    print(confusion_matrix(wanted, found, labels=every))
    if options.out:
        model.save_pretrained(options.out)


if __name__ == "__main__":
    main()
