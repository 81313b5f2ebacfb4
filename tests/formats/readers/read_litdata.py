"""OUT FOLDER BLOCK_SIZE: blocks of a litdata folder, read by StreamingDataset and TokensLoader, in order."""

import sys
from pathlib import Path

import numpy as np
from litdata.streaming import StreamingDataset, TokensLoader


def main(out: Path, folder: str, block_size: int) -> None:
    dataset = StreamingDataset(folder, item_loader=TokensLoader(block_size=block_size), shuffle=False)
    np.save(out / "rows.npy", np.stack([block.numpy() for block in dataset]))
    np.save(out / "random.npy", np.stack([dataset[number].numpy() for number in range(len(dataset) - 1, -1, -1)]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
