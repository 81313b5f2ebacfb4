"""OUT FOLDER [ROW_TOKENS DTYPE]: rows of an MDS folder, read by StreamingDataset with checked hashes.

Further columns go to files of their names. With ROW_TOKENS and DTYPE, the rows of the first shard are written once
more by MDSWriter, into OUT/again.
"""

import json
import sys
from pathlib import Path

import numpy as np
from streaming import MDSWriter, StreamingDataset


def main(out: Path, folder: Path, row_tokens: str = "", dtype: str = "") -> None:
    dataset = StreamingDataset(local=str(folder), shuffle=False, batch_size=1, validate_hash="sha256")
    rows = [dataset[number]["tokens"] for number in range(len(dataset))]
    np.save(out / "rows.npy", np.stack(rows))
    np.save(out / "iterated.npy", np.stack([sample["tokens"] for sample in dataset]))
    for name in set(dataset[0]) - {"tokens"}:
        np.save(out / f"{name}.npy", np.stack([dataset[number][name] for number in range(len(dataset))]))
    if not row_tokens:
        return
    shard = json.loads((folder / "index.json").read_text())["shards"][0]
    columns = {"tokens": f"ndarray:{dtype}:{row_tokens}"}
    if "label" in dataset[0]:
        columns |= {"label": "int64", "attention_mask": f"ndarray:uint8:{row_tokens}"}
    options = {"compression": shard["compression"], "hashes": ["sha256"], "size_limit": None}
    with MDSWriter(out=str(out / "again"), columns=columns, **options) as writer:
        for number in range(shard["samples"]):
            writer.write({name: dataset[number][name] for name in columns})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
