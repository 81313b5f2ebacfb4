"""A model's folder that is not what it should be: refused with the file's name, before any work."""

import json
import struct
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from winnow.errors import ModelFolderError
from winnow.select.model_folder import inspect_model

CONFIG = {
    "model_type": "bert",
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "vocab_size": 30,
    "max_position_embeddings": 64,
}


def folder_of(root: Path, config: object = CONFIG, **files: object) -> str:
    tensors = {"embeddings.word_embeddings.weight": (30, 8)} | {
        f"encoder.layer.{n}.output.dense.weight": (8, 8) for n in range(2)
    }
    header, at = {}, 0
    for name, (rows, columns) in tensors.items():
        size = rows * columns * 4
        header[name] = {"dtype": "F32", "shape": [rows, columns], "data_offsets": [at, at + size]}
        at += size
    content = json.dumps(header).encode()
    (root / "model.safetensors").write_bytes(struct.pack("<Q", len(content)) + content + bytes(at))
    Tokenizer(WordLevel({"a": 0}, unk_token="a")).save(str(root / "tokenizer.json"))
    (root / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    for name, value in files.items():
        (root / f"{name}.json").write_text(json.dumps(value))
    inspect_model.cache_clear()
    return str(root)


def test_a_good_folder(tmp_path):
    found = inspect_model(folder_of(tmp_path, tokenizer_config={"model_max_length": 1e30}))
    assert (found.dimensions, found.max_tokens) == (8, 64)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ([], "holds list, expected an object"),
        (3, "holds int, expected an object"),
        ("null", "holds NoneType, expected an object"),
        ("[" * 3000 + "]" * 3000, "config.json: "),
        (CONFIG | {"num_hidden_layers": 1_000_000}, "num_hidden_layers is 1,000,000, and the weights hold 2 layers"),
        (CONFIG | {"num_hidden_layers": 10**12}, "num_hidden_layers is 1000000000000, expected a whole number"),
        (CONFIG | {"num_hidden_layers": "2"}, "num_hidden_layers is 2, expected a whole number"),
        (CONFIG | {"num_hidden_layers": [2]}, "expected a whole number"),
        (CONFIG | {"hidden_size": -1}, "hidden_size is -1"),
        (CONFIG | {"hidden_size": 1.5}, "hidden_size is 1.5"),
        (CONFIG | {"hidden_size": None}, "no hidden_size"),
        (CONFIG | {"vocab_size": 10_000_000}, "more numbers than the weights have bytes"),
        (CONFIG | {"intermediate_size": 10_000_000}, "more numbers than the weights have bytes"),
        (CONFIG | {"max_position_embeddings": 10**10}, "max_position_embeddings is 10000000000"),
        (CONFIG | {"max_position_embeddings": "64"}, "max_position_embeddings is 64, expected"),
        (CONFIG | {"max_position_embeddings": 10_000_000}, "more numbers than the weights have bytes"),
    ],
)
def test_settings_that_no_model_has_are_refused(tmp_path, config, message):
    with pytest.raises(ModelFolderError, match="config.json: ") as caught:
        inspect_model(folder_of(tmp_path, config))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("modules", {}),
        ("modules", [3]),
        ("modules", [{"type": 3, "path": ""}]),
        ("modules", [{"type": "x.Transformer"}]),
        ("sentence_bert_config", []),
        ("sentence_bert_config", {"max_seq_length": "all"}),
        ("config_sentence_transformers", [1]),
        ("tokenizer_config", [1]),
        ("model.safetensors.index", [1]),
        ("model.safetensors.index", {"weight_map": []}),
        ("model.safetensors.index", {"weight_map": {"a": 3}}),
        ("model.safetensors.index", {}),
    ],
)
def test_other_files_of_another_kind_are_refused_with_their_names(tmp_path, name, value):
    folder = folder_of(tmp_path, **{name: value})
    with pytest.raises(ModelFolderError, match=rf"{name}\.json: "):
        inspect_model(folder)
