"""A network from a model's folder: safetensors only, no code but transformers' own."""

import importlib
from typing import Any, Literal

from winnow.errors import ModelFolderError

Head = Literal["AutoModel", "AutoModelForSequenceClassification"]
"""The class of transformers: an encoder alone, or with a head that classifies or gives numbers."""


def load_network(transformer: str, precision: str, device: str, kind: Head = "AutoModel") -> Any:
    """The network in eval mode.

    Args:
        transformer: its folder.
        precision: fp32, bf16 or fp16.
        device: cpu or cuda.
        kind: of network.

    Raises:
        ModelFolderError: it cannot be loaded, or tensors are missing or of another size.
    """
    torch, transformers = _libraries()
    if device == "cpu":
        torch.set_num_threads(1)  # one core means one core, and the same sums whatever the machine
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    try:
        network, loaded = getattr(transformers, kind).from_pretrained(
            transformer,
            trust_remote_code=False,
            local_files_only=True,
            use_safetensors=True,
            dtype=dtype,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelFolderError(f"{transformer}: transformers cannot load this model: {error}") from error
    # an encoder's pooler is not used, and positions are counted; anything else would be left random
    unused = ("pooler.", "position_ids") if kind == "AutoModel" else ("position_ids",)
    missing = [name for name in loaded["missing_keys"] if not any(part in name for part in unused)]
    if missing:
        raise ModelFolderError(
            f"{transformer}: its weights lack {len(missing):,} tensors of the network in config.json, "
            f"such as {sorted(missing)[0]}; copy the model again"
        )
    return network.to(device).eval()


def check_head(transformer: str, tensors: dict[str, tuple[int, ...]]) -> None:
    """Look whether the weights hold the head of a sequence classifier, of the size that the config says; loads none.

    Args:
        transformer: its folder.
        tensors: shapes of the tensors in the weight files, by name.

    Raises:
        ModelFolderError: they do not, or transformers knows no such classifier.
    """
    torch, transformers = _libraries()
    try:
        config = transformers.AutoConfig.from_pretrained(transformer, trust_remote_code=False, local_files_only=True)
        with torch.device("meta"):
            network = transformers.AutoModelForSequenceClassification.from_config(config, trust_remote_code=False)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        raise ModelFolderError(
            f"{transformer}: transformers builds no sequence classifier of its config.json: {error}"
        ) from error
    body = f"{network.base_model_prefix}."
    for name, tensor in network.state_dict().items():
        if name.startswith(body):
            continue
        found, wanted = tensors.get(name), tuple(tensor.shape)
        if found is None:
            raise ModelFolderError(
                f"{transformer}: its weights lack {name}: it is a model without the head of a classifier; name "
                "one that was trained with it (AutoModelForSequenceClassification)"
            )
        if found != wanted:
            raise ModelFolderError(
                f"{transformer}: {name} is of the size {found}, and config.json says {wanted}; config and weights are "
                "of two models: copy the model again"
            )


def _libraries() -> tuple[Any, Any]:
    torch, transformers = importlib.import_module("torch"), importlib.import_module("transformers")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return torch, transformers
