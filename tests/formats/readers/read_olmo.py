"""OUT FOLDER ROW_TOKENS DTYPE END_OF_TEXT VOCABULARY_SIZE: rows, document borders and packed instances of OLMo-core."""

import sys
from pathlib import Path

import numpy as np
from olmo_core.data.numpy_dataset import NumpyFSLDataset, NumpyPackedFSLDataset
from olmo_core.data.types import LongDocStrategy
from olmo_core.data.utils import iter_document_indices


def main(out: Path, folder: str, row_tokens: int, dtype: str, end_of_text: int, vocabulary_size: int) -> None:
    paths = sorted(map(str, Path(folder).glob("*.npy")))
    kind = {"uint16": np.uint16, "uint32": np.uint32}[dtype]
    listed, scanned = [], []
    for number, path in enumerate(paths):
        borders = iter_document_indices(path, use_array_if_local=False, dtype=kind)
        listed += [(number, *border) for border in borders]
        borders = iter_document_indices(path, use_array_if_local=True, eos_token_id=end_of_text, dtype=kind)
        scanned += [(number, *border) for border in borders]
    np.save(out / "listed.npy", np.array(listed))
    np.save(out / "scanned.npy", np.array(scanned))
    options = {
        "sequence_length": row_tokens,
        "pad_token_id": end_of_text,
        "eos_token_id": end_of_text,
        "vocab_size": vocabulary_size,
        "dtype": kind,
        "include_instance_metadata": False,
    }
    rows = NumpyFSLDataset(*paths, **options)
    rows.prepare()
    np.save(out / "rows.npy", np.stack([rows[number]["input_ids"].numpy() for number in range(len(rows))]))
    masks = sorted(map(str, Path(folder).glob("*.ds.loss")))
    if masks:
        masked = NumpyFSLDataset(*paths, label_mask_paths=masks, **options)
        masked.prepare()
        np.save(out / "masks.npy", np.stack([masked[number]["label_mask"].numpy() for number in range(len(masked))]))
    packed = NumpyPackedFSLDataset(
        *paths, long_doc_strategy=LongDocStrategy.fragment, use_array_if_local=False, **options
    )
    packed.work_dir = out / "work"
    packed.prepare()
    kept = []
    for number in range(len(packed)):
        instance = packed[number]
        mask = instance.get("label_mask")
        ids = instance["input_ids"].numpy()
        kept.append(ids if mask is None else ids[mask.numpy()])
    np.save(out / "packed.npy", np.concatenate(kept))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4], *map(int, sys.argv[5:]))
