"""One split a component: read from the ledger's own tables, for components in which several documents stay."""

import random
from collections import defaultdict

import pytest

from tests.support.configs import run_config, source_of
from tests.support.corpora import renamed
from tests.support.finished import ledger
from winnow.config.config import parse_config
from winnow.engine.exchange import ExchangeFile
from winnow.runs.run import run
from winnow.runs.state import load_run

FAMILIES, MEMBERS = 60, 3


def family(rng: random.Random) -> list[str]:
    """Texts that share all words but the last thirty: Jaccard 0.74, so they mostly meet, and all stay."""

    def words(count: int) -> list[str]:
        return ["".join(rng.choices("abdegiklmnoprstu", k=7)) for _ in range(count)]

    common = words(174)
    return [" ".join([*common, *words(30)]) for _ in range(MEMBERS)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("splits")
    rng = random.Random(11)
    texts = [family(rng) for _ in range(FAMILIES)]
    spread = [members[n] for n in range(MEMBERS) for members in texts]  # a family's members stand far apart
    (folder / "s.jsonl").write_text("\n".join(renamed(spread)) + "\n")
    shards = {"sequence_tokens": 127, "splits": {"val": 0.3, "test": 0.3}}
    config = run_config(folder / "run", source_of(folder / "s.jsonl", id="id"), shards=shards)
    run(parse_config(config))
    return load_run(config["run"])


def components_of(finished) -> dict[int, int]:
    """Candidate component of each document that has one, as dedup wrote it."""
    found = {}
    for record in finished.of("keepers"):
        with finished.store.open(record.outputs["member_decisions"].path) as file:
            exchange = ExchangeFile.open(file)
            rows = exchange.read(0, exchange.num_partitions)
        found |= dict(zip(rows["doc"].tolist(), rows["component"].tolist(), strict=True))
    return found


def test_kept_documents_of_one_component_are_in_one_split(finished):
    rows, components = ledger(finished.config.run), components_of(finished)
    assert {row["outcome"] for row in rows.values()} == {"kept"}  # nothing is left out for the others' sake
    splits, families = defaultdict(list), defaultdict(set)
    for name, row in rows.items():
        if row["doc"] in components:
            splits[components[row["doc"]]].append(row["split"])
            families[components[row["doc"]]].add(int(name[1:]) % FAMILIES)
    several = [found for found in splits.values() if len(found) > 1]
    assert len(several) > 0.8 * FAMILIES
    assert sum(len(found) == MEMBERS for found in several) > 0.5 * FAMILIES
    assert all(len(found) == 1 for found in families.values())  # what met is what is alike
    assert {found[0] for found in several} == {"train", "val", "test"}
    assert [found for found in several if len(set(found)) != 1] == []


def test_splits_of_components_have_their_shares(finished):
    rows, components = ledger(finished.config.run), components_of(finished)
    split_of = {components.get(row["doc"], row["doc"]): row["split"] for row in rows.values()}
    for name, share in (("train", 0.4), ("val", 0.3), ("test", 0.3)):
        drawn = sum(split == name for split in split_of.values()) / len(split_of)
        assert drawn == pytest.approx(share, abs=4 * (share * (1 - share) / len(split_of)) ** 0.5), name
