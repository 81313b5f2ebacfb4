"""Tiny sequence classifiers, made by transformers, and what transformers says of texts with them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

WORDS = [f"w{n}" for n in range(60)]
SMALL: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
    "max_position_embeddings": 66,
}  # fmt: skip
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("BertConfig", {}),
    "roberta": ("RobertaConfig", {"pad_token_id": 1}),
    "distilbert": ("DistilBertConfig", {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}),
    "modernbert": ("ModernBertConfig", {"pad_token_id": 1, "global_attn_every_n_layers": 2, "local_attention": 8}),
    "deberta": ("DebertaV2Config", {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}),
}


def save_classifier(
    folder: Path, kind: str = "bert", labels: tuple[str, ...] = ("low", "mid", "high"), **more: Any
) -> str:
    """A model of a kind with random weights, and its tokeniser; its folder."""
    torch = pytest.importorskip("torch", reason="needs torch (extra `gpu`)")
    transformers = pytest.importorskip("transformers", reason="needs transformers (extra `gpu`)")
    import tokenizers

    names = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", *WORDS]
    tokeniser = tokenizers.Tokenizer(tokenizers.models.WordLevel({name: n for n, name in enumerate(names)}, "[UNK]"))
    tokeniser.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokeniser.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    name, own = KINDS[kind]
    size = {key: value for key, value in SMALL.items() if kind != "distilbert" or key == "max_position_embeddings"}
    settings = {**size, "vocab_size": len(names), "pad_token_id": 1, "initializer_range": 0.8, **own, **more}
    config = getattr(transformers, name)(**settings, id2label=dict(enumerate(labels)))
    torch.manual_seed(3)
    network = transformers.AutoModelForSequenceClassification.from_config(config)
    network.save_pretrained(str(folder))
    tokeniser.save(str(folder / "tokenizer.json"))
    return str(folder)


def outputs_of(folder: str, texts: list[str], most: int) -> np.ndarray:
    """transformers' own outputs, text by text: float64[N, L]."""
    import tokenizers
    import torch
    import transformers

    network = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokeniser = tokenizers.Tokenizer.from_file(f"{folder}/tokenizer.json")
    tokeniser.enable_truncation(most)
    with torch.inference_mode():
        found = [network(input_ids=torch.tensor([tokeniser.encode(text).ids])).logits[0] for text in texts]
    return torch.stack(found).double().numpy()


def change_config(folder: str, **values: Any) -> None:
    """Other settings in its config.json; None takes one out."""
    path = Path(folder) / "config.json"
    settings = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: value for key, value in settings.items() if value is not None}))
