"""OUT PATTERN: rows and document lengths that Hugging Face datasets reads, as a table and as a stream."""

import sys
from pathlib import Path

import numpy as np
from datasets import load_dataset


def main(out: Path, pattern: str) -> None:
    table = load_dataset("parquet", data_files=pattern, split="train")
    stream = load_dataset("parquet", data_files=pattern, split="train", streaming=True)
    for name, dataset in (("table", table), ("stream", stream)):
        ids, lengths, counts = [], [], []
        for row in dataset:
            ids.append(row["input_ids"])
            lengths += row["doc_lens"]
            counts.append(len(row["doc_lens"]))
        np.save(out / f"{name}_rows.npy", np.array(ids))
        np.save(out / f"{name}_pieces.npy", np.array(lengths))
        np.save(out / f"{name}_counts.npy", np.array(counts))
    if "label" in table.features:
        np.save(out / "label.npy", np.array(table["label"]))
    kind = table.features["input_ids"]
    np.save(out / "type.npy", np.array([kind.feature.dtype, str(kind.length)]))
    rest = stream.skip(5)
    np.save(out / "skipped.npy", np.array(next(iter(rest))["input_ids"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
