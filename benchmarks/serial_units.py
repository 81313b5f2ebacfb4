"""What units that look at a whole corpus hold and take, a document: their kernels over made tables of two sizes.

    python -m benchmarks.serial_units [--documents 500000 1000000]

Memory is the most that numpy and Python had at once (tracemalloc), inputs included; seconds are of the processor.
"""

import argparse
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from benchmarks.measuring import machine
from winnow.dedup.components import connected_components
from winnow.select.step_configs import SampleConfig
from winnow.select.steps import Candidates, StepsConfig, take_steps


def sample(documents: int) -> None:
    """The unit of `sample` with a budget alone."""
    _take(documents, balanced=False)


def sample_of_clusters(documents: int) -> None:
    """The same with clusters to balance, quality, prototypes and importance."""
    _take(documents, balanced=True)


def _take(documents: int, *, balanced: bool) -> None:
    random = np.random.default_rng(0)
    sampled = SampleConfig(target_tokens=documents * 200, cluster_temperature=0.5 if balanced else None)
    steps = StepsConfig(
        threshold=0.1 if balanced else None,
        drop_share=0.1 if balanced else None,
        sample=sampled,
        importance=balanced,
        max_features=1000 if balanced else None,
        quality_temperature=1.0 if balanced else None,
    )
    score = (lambda: random.random(documents, np.float32)) if balanced else (lambda: None)
    candidates = Candidates(
        np.arange(documents, dtype=np.uint64),
        random.integers(0, 4, documents).astype(np.uint16),
        random.integers(1, 1000, documents),
        random.integers(0, 1000, documents).astype(np.int32),
        score(),
        random.random(documents) if balanced else None,
        score(),
    )
    take_steps(candidates, steps, None)


def index_groups(documents: int) -> None:
    """The unit of `index_groups`: stars of three documents, one after the other in ten segments."""
    linked = np.arange(documents, dtype=np.uint64).reshape(10, -1, 2)
    chained = [np.concatenate([piece, np.stack([piece[:-1, 0], piece[1:, 0]], 1)[::2]]) for piece in linked]
    connected_components(iter(chained))


def measured(do: Callable[[int], None], documents: int) -> tuple[float, float]:
    """Bytes and processor seconds."""
    tracemalloc.start()
    started = time.process_time()
    do(documents)
    seconds, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak, seconds


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, nargs="+", default=[500_000, 1_000_000])
    arguments = parser.parse_args()
    print(machine())
    for do in (sample, sample_of_clusters, index_groups):
        do(10_000)  # compiles
        for documents in arguments.documents:
            peak, seconds = measured(do, documents)
            took = f"{peak / documents:6.0f} bytes and {seconds / documents * 1e6:5.2f} us a document"
            print(f"{do.__name__:20}{documents:>12,} documents: {took}", flush=True)


if __name__ == "__main__":
    main()
