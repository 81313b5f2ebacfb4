"""Every row kind through a whole run: shards decode to the kept documents, the same bytes however the work is cut."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.support.configs import files_config, run_config, sample_config, source_of
from tests.support.corpora import articles, write_part, write_sample
from tests.support.finished import texts_and_decisions
from tests.support.row_reference import best_fit_decreasing, taught_windows
from winnow.audit.verify.verify import check_shards, recount
from winnow.config.config import parse_config
from winnow.errors import ConfigError
from winnow.finished.explain import explain
from winnow.runs.run import load_run_vocabulary, run
from winnow.runs.state import load_run
from winnow.shards.order import order_keys
from winnow.stages.shards import shards as shards_stage
from winnow.stages.tables import read_ipc

ROW = 64
COLUMNS = ["docs", "position_ids", "loss_mask"]
KINDS = {
    "concat": {"row": "concat"},
    "best_fit": {"row": "best_fit", "best_fit": {"group_documents": 20}},
    "truncate": {"row": "best_fit", "best_fit": {"long_documents": "truncate", "group_documents": 20}},
    "drop": {"row": "best_fit", "best_fit": {"long_documents": "drop", "group_documents": 20}, "sequence_tokens": 511},
    "windows": {"row": "window", "window": {"stride_tokens": 40}},
    "document windows": {"row": "window", "window": {"stride_tokens": 50, "over": "document"}},
    "document": {"row": "document"},
}


def shard_settings(kind: str) -> dict:
    return {"sequence_tokens": ROW, "shard_tokens": 4000, "splits": {"val": 0.1}, "columns": COLUMNS, **KINDS[kind]}


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "data"
    write_sample(folder, 50)
    return folder


@pytest.fixture(scope="module")
def finished(sample, tmp_path_factory):
    """The finished run with rows of a kind; one run folder, so only shards are made anew."""
    folder = tmp_path_factory.mktemp("rows") / "run"

    def of(kind: str):
        config = sample_config(sample, folder, shards=shard_settings(kind))
        config["sources"][1]["weight"] = 2.5
        run(parse_config(config))
        return load_run(str(folder))

    return of


def table_of(finished, split: str) -> dict[str, list]:
    rows: dict[str, list] = {}
    for shard in finished.manifest["shards"]["splits"][split]["shards"]:
        table = pq.read_table(finished.store.path(f"{finished.shards}/{shard['path']}"))
        for name in table.column_names:
            rows.setdefault(name, []).extend(table.column(name).to_pylist())
    return rows


def pieces_of(finished, split: str) -> list[list[tuple[int, int, list[int]]]]:
    """For every row its pieces: document, where in it, ids."""
    table, rows = table_of(finished, split), []
    for ids, lens, docs, starts in zip(
        *(table[c] for c in ("input_ids", "doc_lens", "docs", "doc_starts")), strict=True
    ):
        ends = np.cumsum(lens).tolist()
        rows.append([(d, s, ids[e - n : e]) for d, s, e, n in zip(docs, starts, ends, lens, strict=True)])
    return rows


def kept_tokens(finished, split: str) -> dict[int, tuple[list[int], int]]:
    """By kept document: its ids with end-of-text, and its copies."""
    end = load_run_vocabulary(finished.config).end_of_text
    found = {}
    for decided, tokenised in zip(finished.of("decide"), finished.of("tokenise"), strict=True):
        decisions = pq.read_table(finished.store.path(decided.outputs["decisions"].path)).to_pylist()
        tokens = read_ipc(finished.store, tokenised.outputs["tokens"].reference())
        ids = {row["doc"]: row["ids"] for row in tokens.to_pylist()}
        for row in decisions:
            if row["split"] == split and row["copies"]:
                found[row["doc"]] = ([*ids[row["doc"]], end], row["copies"])
    return found


def check_books(finished, split: str) -> dict:
    """The manifest's figures, against the shards themselves."""
    books = finished.manifest["shards"]["splits"][split]
    row_tokens = finished.manifest["shards"]["row_tokens"]
    kept = kept_tokens(finished, split)
    table = table_of(finished, split)
    assert books["rows"] == len(table["input_ids"])
    assert all(len(row) == row_tokens for row in table["input_ids"])
    held = sum(map(sum, table["doc_lens"]))
    assert books["row_tokens"] == held == sum(shard["tokens"] for shard in books["shards"])
    assert books["padding_tokens"] == books["rows"] * row_tokens - held
    assert books["tokens"] == sum(len(ids) * copies for ids, copies in kept.values())
    assert books["tokens"] == held - books["repeated_tokens"] + books["dropped_tokens"]
    return books


@pytest.mark.parametrize("kind", KINDS)
def test_every_piece_is_what_its_document_holds_there(finished, kind):
    found = finished(kind)
    assert not check_shards(found)
    assert all(balance.expected == balance.found for balance in recount(found))
    end = load_run_vocabulary(found.config).end_of_text
    for split in ("train", "val"):
        kept = kept_tokens(found, split)
        check_books(found, split)
        table = table_of(found, split)
        for number, row in enumerate(pieces_of(found, split)):
            for doc, start, ids in row:
                assert ids == kept[doc][0][start : start + len(ids)]
            held = sum(len(ids) for _, _, ids in row)
            padding = len(table["input_ids"][number]) - held
            assert table["input_ids"][number][held:] == [end] * padding
            assert table["loss_mask"][number] == [1] * held + [0] * padding
            positions = [at for _, _, ids in row for at in range(len(ids))]
            assert table["position_ids"][number] == positions + list(range(padding))
    assert len(found.manifest["shards"]["splits"]["train"]["shards"]) > 1


@pytest.mark.parametrize("kind", ["concat", "best_fit"])
def test_rows_hold_every_kept_document_whole(finished, kind):
    found = finished(kind)
    for split in ("train", "val"):
        stood = Counter(
            (doc, start + n) for row in pieces_of(found, split) for doc, start, ids in row for n in range(len(ids))
        )
        assert stood == {
            (doc, at): copies for doc, (ids, copies) in kept_tokens(found, split).items() for at in range(len(ids))
        }
        books = check_books(found, split)
        assert not books["dropped_tokens"] and not books["repeated_tokens"] and not books["truncated_documents"]


@pytest.mark.parametrize("kind", ["best_fit", "truncate", "drop"])
def test_best_fit_rows_are_those_of_the_plain_packer(finished, kind):
    found = finished(kind)
    row_tokens = found.manifest["shards"]["row_tokens"]
    long_documents = KINDS[kind]["best_fit"].get("long_documents", "split")
    for split in ("train", "val"):
        lengths = {doc: len(ids) for doc, (ids, _) in kept_tokens(found, split).items()}
        stream = stream_of(found, split)
        groups = max(1, len(stream) // 20)
        expected = []
        for group in range(groups):
            mine = [doc for doc, key in stream if (key >> 32) * groups >> 32 == group]
            rows = best_fit_decreasing([lengths[doc] for doc in mine], row_tokens, long_documents)
            expected.append(sorted([(mine[d], s, n) for d, s, n in row] for row in rows))
        found_rows = [[(doc, start, len(ids)) for doc, start, ids in row] for row in pieces_of(found, split)]
        at = 0
        for rows in expected:  # groups stand in order, the rows of each in an order of their own
            assert sorted(found_rows[at : at + len(rows)]) == rows
            at += len(rows)
        assert at == len(found_rows)
        books = check_books(found, split)
        dropped = sum(max(0, lengths[doc] - row_tokens) for doc, _ in stream)
        if long_documents == "drop":
            dropped = sum(lengths[doc] for doc, _ in stream if lengths[doc] > row_tokens)
        assert books["dropped_tokens"] == (0 if long_documents == "split" else dropped)
    if kind == "best_fit":
        full = [sum(len(ids) for *_, ids in row) == row_tokens for row in pieces_of(found, "train")]
        assert len({tuple(full[n : n + 8]) for n in range(0, len(full), 8)}) > 2  # full rows do not clump


def stream_of(finished, split: str) -> list[tuple[int, int]]:
    """Documents in the global order, copies among them, and the first 64 bits of their keys."""
    rows = [(d, c, k) for d, (_, k) in kept_tokens(finished, split).items() for c in range(k)]
    docs, copies, copies_of = (np.array(column, np.uint64) for column in zip(*rows, strict=True))
    high, low = order_keys(docs, copies, copies_of, finished.config.shards.seed, 0)
    order = np.lexsort((low, high))
    return list(zip(docs[order].tolist(), high[order].tolist(), strict=True))


def test_windows_are_those_of_the_book(finished):
    found = finished("windows")
    for split in ("train", "val"):
        kept = kept_tokens(found, split)
        stream = [token for doc, _ in stream_of(found, split) for token in kept[doc][0]]
        pairs = taught_windows(stream, ROW, 40)
        rows = table_of(found, split)["input_ids"]
        assert [(row[:-1], row[1:]) for row in rows] == pairs
        books = check_books(found, split)
        assert books["dropped_tokens"] == len(stream) - ((len(pairs) - 1) * 40 + ROW + 1)
        assert books["padding_tokens"] == 0


def test_windows_over_documents_are_those_of_the_book(finished):
    found = finished("document windows")
    for split in ("train", "val"):
        kept = kept_tokens(found, split)
        expected = [
            tuple(x + y[-1:]) for doc, _ in stream_of(found, split) for x, y in taught_windows(kept[doc][0], ROW, 50)
        ]
        assert Counter(map(tuple, table_of(found, split)["input_ids"])) == Counter(expected)
        books = check_books(found, split)
        short = [doc for doc, _ in stream_of(found, split) if len(kept[doc][0]) <= ROW]
        assert books["dropped_documents"] == len(short)


def test_document_rows_stand_in_the_global_order_and_have_a_mask(finished):
    found = finished("document")
    assert found.manifest["shards"]["row_tokens"] == ROW
    assert found.manifest["shards"]["columns"] == ["attention_mask", *COLUMNS]
    for split in ("train", "val"):
        kept = kept_tokens(found, split)
        order = [doc for doc, _ in stream_of(found, split)]
        table = table_of(found, split)
        assert table["docs"] == [[doc] for doc in order]
        for doc, ids, mask in zip(order, table["input_ids"], table["attention_mask"], strict=True):
            text = kept[doc][0][:ROW]
            assert ids[: len(text)] == text
            assert mask == [1] * len(text) + [0] * (ROW - len(text))
        books = check_books(found, split)
        assert books["truncated_documents"] == sum(len(kept[doc][0]) > ROW for doc in order)


def hashes(finished) -> dict[str, str]:
    splits = finished.manifest["shards"]["splits"]
    return {shard["path"]: shard["sha256"] for split in splits.values() for shard in split["shards"]}


@pytest.mark.parametrize("kind", KINDS)
def test_units_partitions_and_interruptions_do_not_change_a_byte(finished, sample, tmp_path, kind, monkeypatch):
    expected = hashes(finished(kind))
    monkeypatch.setattr("winnow.engine.exchange.partitions_for", lambda *_: 13)
    monkeypatch.setattr("winnow.stages.shards.row_groups.UNIT_DOCUMENTS", 45)
    config = sample_config(sample, tmp_path / "run", shards=shard_settings(kind), compute={"unit_mb": 1, "attempts": 1})
    config["sources"][1]["weight"] = 2.5
    read, calls = shards_stage.read_rows, []

    def fail_at_the_third(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return read(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(shards_stage, "read_rows", fail_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            run(parse_config(config))
    context = run(parse_config(config))
    assert [s.reused for s in context.engine.summaries if s.name == "shards"] == [2]
    found = load_run(str(tmp_path / "run"))
    assert hashes(found) == expected
    if kind == "best_fit":
        assert len(found.of("row_counts")) > 2


@pytest.mark.parametrize("kind", KINDS)
def test_why_names_just_the_rows_and_shards_that_hold_the_document(finished, kind):
    found = finished(kind)
    for split in ("train", "val"):
        rows_of = {}
        rows = pieces_of(found, split)
        for number, row in enumerate(rows):
            for doc, _, _ in row:
                rows_of.setdefault(doc, set()).add(number)
        shard_of = [
            shard["path"] for shard in found.manifest["shards"]["splits"][split]["shards"] for _ in range(shard["rows"])
        ]
        for doc in list(kept_tokens(found, split))[::9]:
            places = explain(found, doc).places
            named = {row for place in places for row in place.rows}
            assert named == rows_of.get(doc, set())
            assert {name for place in places for name in place.shards} == {shard_of[row] for row in named}


def small_run(tmp_path, texts: list[str], shards: dict):
    folder = tmp_path / "in"
    folder.mkdir()
    for n, text in enumerate(texts):
        (folder / f"{n}.txt").write_text(text)
    compute = {"max_unreadable_share": 0.05}
    config = run_config(tmp_path / "run", source_of(f"{folder}/*.txt"), shards=shards, dedup=False, compute=compute)
    run(parse_config(config))
    return load_run(str(tmp_path / "run"))


def test_documents_that_are_all_too_long_are_told_so(tmp_path):
    shards = {"row": "best_fit", "best_fit": {"long_documents": "drop"}, "sequence_tokens": 8, "splits": {}}
    with pytest.raises(ConfigError, match="raise shards.sequence_tokens, or set best_fit.long_documents to split$"):
        small_run(tmp_path, articles(8, 6)[:6], shards)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_longer_than_any_document(tmp_path, kind):
    texts = articles(8, 6)[:6]
    shards = shard_settings(kind) | {"sequence_tokens": 60_000, "splits": {}}
    if KINDS[kind]["row"] == "window":
        with pytest.raises(ConfigError, match="row: window makes no row .* out of 6 documents with .* tokens"):
            small_run(tmp_path, texts, shards)
        return
    found = small_run(tmp_path, texts, shards)
    books = check_books(found, "train")
    assert books["rows"] == (6 if kind == "document" else 1)
    assert books["dropped_tokens"] == books["split_documents"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_splits_that_are_empty_or_shorter_than_a_row(tmp_path, kind):
    texts = [*articles(9, 12)[:12]]
    shards = shard_settings(kind) | {"splits": {"val": 1e-9, "test": 0.4}}
    found = small_run(tmp_path, texts, shards)
    splits = found.manifest["shards"]["splits"]
    assert splits["val"]["documents"] == splits["val"]["rows"] == 0
    assert splits["val"]["shards"] == []
    assert splits["test"]["documents"]
    assert all(balance.expected == balance.found for balance in recount(found))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_real_text_decode_to_the_kept_documents(shared, tmp_path, kind):
    sizes = {"01": 2e6, "05": 2e6, "07": 4e6, "11": 3e6, "12": 1e6, "14": 3e6}
    inputs = write_part(shared, tmp_path / "in", sizes)
    shards = shard_settings(kind) | {"sequence_tokens": 512, "shard_tokens": 300_000}
    shards["best_fit"] = shards.get("best_fit", {}) | {"group_documents": 400}
    shards["window"] = shards.get("window", {}) | {"stride_tokens": 400}
    config = files_config(inputs, tmp_path / "run", verify="signature")
    run(parse_config(config | {"shards": shards}))
    found = load_run(str(tmp_path / "run"))
    vocabulary = load_run_vocabulary(found.config)
    texts = texts_and_decisions(found)[0]
    for split in ("train", "val"):
        kept = kept_tokens(found, split)
        books = check_books(found, split)
        ids_of: dict[int, dict[int, list[int]]] = {}
        for row in pieces_of(found, split):
            for doc, start, ids in row:
                assert ids == kept[doc][0][start : start + len(ids)]
                ids_of.setdefault(doc, {})[start] = ids
        if books["dropped_tokens"] == books["repeated_tokens"] == 0:
            assert set(ids_of) == set(kept)
            for doc, pieces in ids_of.items():
                ids = [token for start in sorted(pieces) for token in pieces[start]]
                assert ids[-1] == vocabulary.end_of_text
                assert vocabulary.decode(ids[:-1]).decode() == texts[doc]
    assert all(balance.expected == balance.found for balance in recount(found))


def test_no_document_at_all_gives_no_shard(tmp_path):
    found = small_run(tmp_path, ["", " \n"], shard_settings("best_fit"))
    assert found.manifest["shards"]["splits"]["train"]["rows"] == 0


@pytest.mark.parametrize(
    ("shards", "message"),
    [
        ({"row": "window", "window": {"stride_tokens": 65}}, r"stride_tokens \(65\) must not be larger than"),
        ({"columns": ["docs", "docs"]}, "name each one once"),
        ({"row": "pack"}, "shards.row"),
        ({"best_fit": {"long_documents": "keep"}}, "shards.best_fit.long_documents"),
        ({"window": {"stride": 3}}, "did you mean 'stride_tokens'"),
    ],
)
def test_settings_that_cannot_be(tmp_path, shards, message):
    with pytest.raises(ConfigError, match=message):
        parse_config(sample_config(tmp_path, tmp_path / "run", shards={"sequence_tokens": ROW} | shards))


def test_a_vocabulary_without_the_named_end_of_text(sample, tmp_path):
    config = sample_config(sample, tmp_path / "run", tokenise={"end_of_text": "<|stop|>"})
    with pytest.raises(ConfigError, match=r"tokenise.end_of_text \(<\|stop\|>\) is not among its special tokens"):
        run(parse_config(config))
