"""Clusters, semantic duplicates and a budget over many vectors, on CPU: minutes, memory, exactness.

Run ``python -m benchmarks.sample [--vectors 1000000]``. Vectors are made: clusters of unequal size with noise, and
planted near-copies, so that what is found can be counted. The same functions as in a run, one process; partitions are
cut as a run would cut them.

``--assignment`` measures nearest centres alone, on a GPU where there is one: ``python -m benchmarks.sample --assignment
--vectors 10000000 --clusters 10000`` prints its share of the card's measured bf16 matrix rate. Without a GPU the same
code runs on torch's CPU; take fewer vectors.
"""

import argparse
import time

import numpy as np

from tests.support.whole_sample import draw_sample
from winnow.dedup.components import connected_components
from winnow.engine.stage import peak_memory_mb
from winnow.select.backends import nearest_centres
from winnow.select.clusters import fit_centres
from winnow.select.semantic import choose_semantic_keepers, links_in_cluster, visited
from winnow.select.step_configs import SampleConfig
from winnow.select.vectors import stored_vectors, unit_rows

EPSILON, NEIGHBOURS = 0.05, 2


def made_vectors(count: int, dimensions: int, planted: float, seed: int = 0):
    """float16[N, D] and, for each vector, the earlier one that it was copied from (-1: none)."""
    rng = np.random.default_rng(seed)
    topics = rng.normal(size=(max(10, count // 500), dimensions)).astype(np.float32)
    weights = rng.pareto(1.2, len(topics)) + 0.1
    stored = np.empty((count, dimensions), np.float16)
    topic = rng.choice(len(topics), count, p=weights / weights.sum())
    for begin in range(0, count, 50_000):
        rows = slice(begin, min(begin + 50_000, count))
        noise = rng.normal(size=(rows.stop - begin, dimensions)).astype(np.float32)
        stored[rows] = stored_vectors(topics[topic[rows]] + noise)
    copied = np.full(count, -1)
    late = np.flatnonzero(rng.random(count) < planted)
    late = late[late > 0]
    copied[late] = rng.integers(0, late)
    for begin in range(0, len(late), 50_000):
        rows = late[begin : begin + 50_000]
        noise = rng.normal(size=(len(rows), dimensions)).astype(np.float32) * (0.15 / np.sqrt(dimensions))
        stored[rows] = stored_vectors(unit_rows(stored[copied[rows]]) + noise)
    return stored, copied


def assignment(count, dimensions, clusters):
    """Nearest centres of vectors that lie on the device: seconds, rate, and how many the search left to decide."""
    import torch

    from benchmarks.embed import matrix_rate
    from winnow.select import device_vectors

    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator = torch.Generator(device).manual_seed(0)
    centres = torch.randn(clusters, dimensions, device=device, generator=generator)
    centres /= centres.norm(dim=1, keepdim=True)
    rows = torch.empty(count, dimensions, dtype=torch.float16, device=device)
    for begin in range(0, count, 1 << 18):  # noise around centres: as far from them as real texts (cosine about 0.6)
        mine = rows[begin : begin + (1 << 18)]
        noise = torch.randn(mine.shape, device=device, generator=generator) * (1.3 / dimensions**0.5)
        near = centres[torch.randint(clusters, (len(mine),), device=device, generator=generator)] + noise
        mine.copy_(near / near.norm(dim=1, keepdim=True))
    vectors = device_vectors.DeviceVectors(rows)
    looked_at, exact = [], vectors._exact
    vectors._exact = lambda places, *rest: looked_at.append(len(places)) or exact(places, *rest)

    def wait():
        if device == "cuda":
            torch.cuda.synchronize()

    vectors.nearest_there(centres, 1)
    taken = []
    for _ in range(3):
        wait()
        started = time.perf_counter()
        vectors.nearest_there(centres, 1)
        wait()
        taken.append(time.perf_counter() - started)
    median = sorted(taken)[1]
    rate = 2 * count * dimensions * clusters / median
    print(f"{count:,} x {dimensions}, {clusters:,} centres on {device}: {median:.3f} s, {rate / 1e12:.2f} TFLOP/s")
    print(f"{looked_at[-1] if looked_at else 0:,} vectors lay near too many centres and were compared with all")
    if device == "cuda":
        peak = matrix_rate(torch.bfloat16)
        print(f"{rate / peak:.1%} of the {peak / 1e12:.0f} TFLOP/s measured for bf16 products of 8192")
        few = rows[:20_000].cpu().numpy(), centres.cpu().numpy()
        here, there = nearest_centres(*few)[0], nearest_centres(*few, device="cuda")[0]
        print(f"equal to numpy in float32: {(here == there).mean():.4%} of 20,000")


def main() -> None:
    """Print one line a step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--assignment", action="store_true")
    parser.add_argument("--clusters", type=int, default=10_000)
    arguments = parser.parse_args()
    count = arguments.vectors
    if arguments.assignment:
        assignment(count, arguments.dimensions, arguments.clusters)
        return
    stored, copied = made_vectors(count, arguments.dimensions, 0.05)
    docs = np.arange(count, dtype=np.uint64)
    number = int(np.sqrt(count))
    print(f"{count:,} vectors of {arguments.dimensions}, {(copied >= 0).sum():,} planted; {peak_memory_mb():,.0f} MB")

    def told(what, started):
        print(f"{what:58} {time.perf_counter() - started:8.1f} s   peak {peak_memory_mb():7,.0f} MB", flush=True)

    started = time.perf_counter()
    sample = np.random.default_rng(1).permutation(count)[: min(count, 200_000)]
    fit = fit_centres(stored[sample], number, 5)
    told(f"k-means: {number:,} centres on {len(sample):,}, {fit.rounds} rounds", started)
    started = time.perf_counter()
    chosen, cosine = nearest_centres(stored, fit.centres, 1 + NEIGHBOURS)
    told("assignment", started)
    started = time.perf_counter()
    near = visited(cosine, 1 - EPSILON)
    row, place = np.nonzero(near)
    rows = np.concatenate([np.arange(count), row])
    cluster = np.concatenate([chosen[:, 0], chosen[row, place + 1]])
    visitor = np.repeat([0, 1], [count, len(row)])
    order = np.lexsort((rows, visitor, cluster))
    firsts = np.flatnonzero(np.diff(cluster[order], prepend=-1))
    links = 0

    def edges():
        nonlocal links
        for begin, end in zip(firsts, [*firsts[1:], len(order)], strict=True):
            mine = order[begin:end]
            residents = int((visitor[mine] == 0).sum())
            vectors = stored[rows[mine]]
            for first, second in links_in_cluster(vectors[:residents], vectors[residents:], 1 - EPSILON):
                links += len(first)
                yield np.stack([docs[rows[mine[first]]], docs[rows[mine[second]]]], axis=1)

    linked, component = connected_components(edges())
    told(
        f"links: {links:,} among {count + len(row):,} members, largest {np.diff([*firsts, len(order)]).max():,}",
        started,
    )
    started = time.perf_counter()
    order = np.lexsort((linked, component))
    keeper, _ = choose_semantic_keepers(stored[linked[order].astype(np.int64)], component[order], 1 - EPSILON)
    removed = np.zeros(count, bool)
    removed[linked[order][keeper >= 0].astype(np.int64)] = True
    told(f"keepers: {len(linked):,} compared, {removed.sum():,} removed", started)
    planted = np.flatnonzero(copied >= 0)
    products = np.einsum("ij,ij->i", unit_rows(stored[planted]), unit_rows(stored[copied[planted]]))
    reachable = planted[products >= 1 - EPSILON]
    print(f"planted copies over the threshold that were removed: {removed[reachable].mean():.4%} of {len(reachable):,}")
    started = time.perf_counter()
    tokens = np.random.default_rng(3).integers(10, 3000, count)
    budget = int(tokens.sum() // 3)
    config = SampleConfig(target_tokens=budget, cluster_temperature=0.5)
    drawn = draw_sample(docs, tokens, np.zeros(count, int), chosen[:, 0], None, config, None)
    told(f"sample: {tokens[drawn.taken].sum():,} tokens of a budget of {budget:,}", started)


if __name__ == "__main__":
    main()
