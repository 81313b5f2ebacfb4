"""OUT FOLDER SEQUENCE_LENGTH ID_BYTES END_OF_TEXT: windows of DatatroveFolderDataset, with positions in documents."""

import sys
from pathlib import Path

import numpy as np
from datatrove.utils.dataset import DatatroveFolderDataset


def main(out: Path, folder: str, sequence_length: int, id_bytes: int, end_of_text: int) -> None:
    dataset = DatatroveFolderDataset(folder, sequence_length, token_size=id_bytes, return_positions=True)
    samples = [dataset[number] for number in range(len(dataset))]
    np.save(out / "rows.npy", np.stack([sample["input_ids"].numpy() for sample in samples]))
    np.save(out / "positions.npy", np.stack([sample["positions"].numpy() for sample in samples]))
    by_token = DatatroveFolderDataset(
        folder,
        sequence_length,
        token_size=id_bytes,
        return_positions=True,
        positions_from_eos_token_id=end_of_text,
    )
    positions = [by_token[number]["positions"].numpy() for number in range(len(by_token))]
    np.save(out / "positions_by_token.npy", np.stack(positions))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
