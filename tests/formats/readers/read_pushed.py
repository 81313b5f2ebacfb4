"""OUT FOLDER: what Hugging Face datasets loads by the card of a pushed set, split by split; and, where mlcroissant is
installed, what it says of ``croissant.json``."""

import sys
from pathlib import Path

import numpy as np
from datasets import get_dataset_config_names, load_dataset


def main(out: Path, folder: str) -> None:
    for config in get_dataset_config_names(folder):
        for split, loaded in load_dataset(folder, config, cache_dir=str(out / "cache")).items():
            values = loaded["input_ids" if config == "tokens" else "text"]
            np.save(out / f"{config}_{split}.npy", np.array(list(values)))
    for path in sorted(Path(folder).glob("documents/*.jsonl.zst")):
        texts = load_dataset("json", data_files=str(path), cache_dir=str(out / "cache"))["train"]["text"]
        np.save(out / f"json_{path.name.partition('-')[0]}.npy", np.array(list(texts)))
    try:
        import mlcroissant
    except ImportError:
        return
    described = mlcroissant.Dataset(jsonld=str(Path(folder) / "croissant.json"))
    np.save(out / "croissant.npy", np.array(sorted(described.metadata.issues.errors), dtype=str))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
