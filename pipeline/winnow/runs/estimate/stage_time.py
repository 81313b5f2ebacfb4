"""Which share of a run's time its stages take, so that `winnow status` can tell how much is left of all of them."""

from collections.abc import Iterable

SECONDS = {
    "count": 0.4,
    "lines": 3.0,
    "measure": 7.0,
    "filter": 0.4,
    "bands": 0.4,
    "edges": 0.2,
    "components": 0.4,
    "candidates": 1.4,
    "keepers": 0.2,
    "contamination": 1.4,
    "tokenise": 2.8,
    "embed": 5.0,
    "assign": 1.0,
    "scores": 0.4,
    "shuffle": 0.6,
    "row_counts": 0.3,
    "shards": 1.0,
    "documents": 1.5,
}
"""Of the run that the README prints (408 MB, two cores); lines, embed and what follows it from docs/select.md and
docs/performance.md. Only their proportions matter."""
OTHERS = 0.1
"""Of a stage that is not listed."""


def stage_weights(names: Iterable[str]) -> dict[str, float]:
    """By stage, in order, how long it takes beside the others."""
    return {name: SECONDS.get(name, OTHERS) for name in names}
