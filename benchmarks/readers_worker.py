"""One library reads a shard set as training does: ``READER FOLDER BATCH ROW_TOKENS``. Run by ``benchmarks.readers``.

Prints JSON: ids read, wall and processor seconds of shuffled epochs, and the seconds from nothing (imports left out) to
the first batch, at the start and in the middle. A batch is a torch tensor of int64, made in this process.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

torch.set_num_threads(1)


def winnow(folder: Path, batch: int) -> tuple[Callable[[int | None], Iterator[torch.Tensor]], int]:
    """Winnow's own reader; FOLDER is the shard set."""
    from winnow.shards import ShardDataset

    def batches(resume_at: int | None) -> Iterator[torch.Tensor]:
        data = ShardDataset(folder, "train", batch_size=batch, shuffle_first=True, shift=False, file_format=FORMAT)
        if resume_at is not None:
            data.load_state_dict({**data.state_dict(), "samples": resume_at * batch})
        return (rows[0] if isinstance(rows, tuple) else rows for rows in data)

    data = ShardDataset(folder, "train", batch_size=batch, file_format=FORMAT)
    return batches, len(data)


FORMAT = "parquet"


def raw(folder: Path, batch: int) -> tuple[Callable[[int | None], Iterator[torch.Tensor]], int]:
    """The same from raw shards."""
    global FORMAT
    FORMAT = "raw"
    return winnow(folder, batch)


def mds(folder: Path, batch: int) -> tuple[Callable[[int | None], Iterator[torch.Tensor]], int]:
    """MosaicML Streaming; FOLDER holds ``index.json``."""
    import numpy as np
    from streaming import StreamingDataLoader, StreamingDataset

    def collate(samples: list[dict[str, Any]]) -> torch.Tensor:
        return torch.from_numpy(np.stack([sample["tokens"] for sample in samples]).astype(np.int64))

    def batches(resume_at: int | None) -> Iterator[torch.Tensor]:
        data = StreamingDataset(local=str(folder), shuffle=True, batch_size=batch, num_canonical_nodes=1)
        loader = StreamingDataLoader(data, batch_size=batch, num_workers=0, collate_fn=collate, drop_last=True)
        if resume_at is not None:
            state = {"epoch": 0, "sample_in_epoch": resume_at * batch, "num_canonical_nodes": 1}
            data.load_state_dict({**state, "shuffle_seed": 9176, "initial_physical_nodes": 1})
        return iter(loader)

    return batches, StreamingDataset(local=str(folder), batch_size=batch).num_samples // batch


def litdata(folder: Path, batch: int) -> tuple[Callable[[int | None], Iterator[torch.Tensor]], int]:
    """LitData; FOLDER holds ``index.json``, a block is a row."""
    from litdata import StreamingDataLoader
    from litdata.streaming import StreamingDataset, TokensLoader

    def made() -> Any:
        loader = TokensLoader(block_size=ROW_TOKENS)
        return StreamingDataset(str(folder), item_loader=loader, shuffle=True, drop_last=True)

    def batches(resume_at: int | None) -> Iterator[torch.Tensor]:
        loader = StreamingDataLoader(made(), batch_size=batch, num_workers=0, drop_last=True)
        if resume_at is not None:
            before = StreamingDataLoader(made(), batch_size=batch, num_workers=0, drop_last=True)
            for _, _ in zip(range(2), before, strict=False):
                pass
            state = before.state_dict()
            state["num_samples_yielded"] = resume_at * batch
            state["dataset"] |= {"num_samples_yielded": resume_at * batch, "sample_in_epoch": resume_at * batch}
            loader.load_state_dict(state)
        return (blocks.to(torch.int64) for blocks in loader)

    return batches, len(made()) // batch


ROW_TOKENS = int(sys.argv[4])
PASSES = 5


def main(reader: str, folder: Path, batch: int) -> None:
    """Measure one library."""
    batches, steps = {"winnow": winnow, "winnow raw": raw, "mds": mds, "litdata": litdata}[reader](folder, batch)
    told: dict[str, float] = {"steps": steps}
    for _, _ in zip(range(steps), batches(None), strict=False):  # the page cache, and what is imported late
        pass
    wall, processor, ids = time.perf_counter(), time.process_time(), 0
    for _ in range(PASSES):
        for _, rows in zip(range(steps), batches(None), strict=False):
            ids += rows.numel()
    told |= {"ids": ids, "wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
    for name, at in (("start", None), ("resume", steps // 2)):
        began = time.perf_counter()
        next(iter(batches(at)))
        told[name] = time.perf_counter() - began
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
