"""What attention within documents costs: a training step of examples/train_gpt.py with and without its mask.

    python -m benchmarks.document_mask [--tokens 256 512 1024] [--documents 4]

A packed row with the mask, the same row without it, and its documents one by one, in turn; the best of the tries each,
in CPU seconds, as ratios to the row without a mask. Loss and gradients of the first and the last are equal
(tests/examples/test_layers.py).
"""

import argparse
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
from train_gpt import Gpt, losses_of

VOCABULARY, TRIES, ROWS = 2048, 5, 4


def main() -> None:
    """Print one line for each length of a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--documents", type=int, default=4, help="in each row, of equal length")
    options = parser.parse_args()
    table = torch.arange(VOCABULARY)
    print(f"{'tokens':>7}{'no mask, s':>12}{'mask':>8}{'one by one':>12}")
    for tokens in options.tokens:
        length = tokens // options.documents
        model = Gpt(VOCABULARY, tokens)
        ids = torch.randint(VOCABULARY, (ROWS, length * options.documents))
        positions = torch.arange(length).repeat(ROWS, options.documents)
        packed = {"input_ids": ids, "labels": ids, "position_ids": positions}
        shape = (ROWS * options.documents, length)
        alone = {name: column.reshape(shape) for name, column in packed.items()}
        ways = {"no": (packed, False), "mask": (packed, True), "alone": (alone, False)}
        best = dict.fromkeys(ways, float("inf"))
        for _ in range(TRIES):
            for name, (batch, within) in ways.items():
                started = time.process_time()
                losses_of(model, batch, table, within)[1].backward()
                best[name] = min(best[name], time.process_time() - started)
        print(
            f"{tokens:7}{best['no']:12.3f}{best['mask'] / best['no']:8.2f}{best['alone'] / best['no']:12.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
