"""Several shard sets, and the corpus of nightly runs, as one stream."""

import hashlib
import json
import pickle
import shutil
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.shard_sets import numbered_rows, write_set
from winnow.errors import ShardError
from winnow.shards.dataset.batches import BatchForm, make_batch
from winnow.shards.dataset.set_order import SetOrder
from winnow.shards.dataset.steps import ReaderRank
from winnow.shards.dataset.stream import SampleStream, Source

INT64 = np.dtype("int64")
ALONE = ReaderRank()
SIZES = (23, 40, 1, 9)


def write_sets(folder, sizes=SIZES, **options):
    """A set of so many rows each, in up to three shards, whose rows are numbered on; and where they lie."""
    starts = np.cumsum([0, *sizes])
    rows = numbered_rows(int(starts[-1]))
    for number, size in enumerate(sizes):
        parts = np.array_split(rows[starts[number] : starts[number + 1]], min(size, 3) or 1)
        write_set(folder / f"set-{number}", {"train": parts if size else [], "val": []}, **options)
    return [str(folder / f"set-{number}") for number in range(len(sizes))]


def write_corpus(folder, sizes=SIZES):
    """The same as the corpus of nights."""
    listed = []
    for number, place in enumerate(write_sets(folder / "sets", sizes)):
        manifest = f"sets/set-{number}/manifest.json"
        digest = hashlib.sha256((folder / manifest).read_bytes()).hexdigest()
        listed.append({"name": f"night-{number}", "segment": number, "manifest": manifest, "sha256": digest})
        assert place == str(folder / "sets" / f"set-{number}")
    (folder / "corpus.json").write_text(json.dumps({"format": 1, "sets": listed, "totals": {}}))
    return folder


def numbers(stream, place=ALONE, batch=1, start=0, tail="pad"):
    """Numbers of the rows of each step of a reader."""
    steps = stream.batches(place, batch, BatchForm(INT64), start, tail)
    return [[int(n) - 2 for n in arrays["input_ids"][:, 0] if n > 1] for _, arrays in steps]


def joined(lists):
    return [row for rows in lists for row in rows]


def spread(sizes):
    """The order that the module promises, by fractions: (i + 1/2) / n, and the earlier set first."""
    starts = np.cumsum([0, *sizes]).tolist()
    places = [(Fraction(2 * i + 1, 2 * n), k, starts[k] + i) for k, n in enumerate(sizes) for i in range(n)]
    return [number for _, _, number in sorted(places)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(3, 50), st.data())
def test_sets_are_spread_evenly_and_any_position_is_found_alone(sizes, block, data):
    total = sum(sizes)
    starts = np.cumsum([0, *sizes])
    wanted = spread(sizes)
    shards, rows = SetOrder(np.array(sizes), starts, block).rows_between(0, total)
    assert (starts[shards] + rows).tolist() == wanted
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, total)] * 2)))
    order = SetOrder(np.array(sizes), starts, block)
    shards, rows = order.rows_between(first, last)
    assert (starts[shards] + rows).tolist() == wanted[first:last]
    for at, shard in enumerate(shards.tolist(), first):
        assert shard in order.shards_of(order.window_of(at))
    assert order.shards_of(len(order._times) - 1) == []


def test_rows_of_large_sets_are_counted_where_divisions_round():
    sizes = np.array([3_000_000_019, 999_999_937, 7])
    order = SetOrder(sizes, np.concatenate([[0], np.cumsum(sizes)]))
    edge = int(order._block_starts[12_345])
    shards, rows = order.rows_between(edge - 3000, edge + 3000)
    times = [Fraction(2 * int(row) + 1, 2 * int(sizes[shard])) for shard, row in zip(shards, rows, strict=True)]
    assert times == sorted(times)
    for number in (0, 1):  # rows of a set follow each other, across the border of two blocks
        assert (np.diff(rows[shards == number]) == 1).all()
    assert order._block_starts[-1] == sizes.sum()


def test_every_stretch_of_the_first_epoch_holds_the_sets_in_their_shares(tmp_path):
    sizes = (600, 300, 100)
    places = tuple(write_sets(tmp_path, sizes))
    found = joined(numbers(SampleStream(Source(places).reader())))
    which = np.searchsorted(np.cumsum(sizes), found, side="right")
    for begin in range(0, 1000, 50):
        assert np.bincount(which[begin : begin + 50], minlength=3).tolist() == [30, 15, 5]
    for number, size in enumerate(sizes):  # the stored order of each set stays
        assert np.diff(np.array(found)[which == number]).tolist() == [1] * (size - 1)


def test_each_epoch_holds_every_row_once_and_later_ones_mix_the_sets(tmp_path):
    places = tuple(write_sets(tmp_path))
    total = sum(SIZES)
    found = joined(numbers(SampleStream(Source(places).reader(), seed=3, epochs=3, mix_shards=4)))
    for epoch in range(3):
        assert sorted(found[epoch * total : (epoch + 1) * total]) == list(range(total))
    assert found[:total] == spread(SIZES)
    assert found[total : 2 * total] != found[2 * total :]
    border = np.cumsum(SIZES)
    firsts = {int(np.searchsorted(border, row, side="right")) for row in found[total : total + 20]}
    assert len(firsts) > 1
    shuffled = joined(numbers(SampleStream(Source(places).reader(), seed=3, mix_shards=4, shuffle_first=True)))
    assert sorted(shuffled) == list(range(total))
    assert shuffled != spread(SIZES)


@pytest.mark.parametrize(("world", "workers"), [(2, 1), (4, 3)])
def test_ranks_and_workers_share_the_steps_and_a_run_goes_on_anywhere(tmp_path, world, workers):
    places = tuple(write_sets(tmp_path))
    whole = joined(numbers(SampleStream(Source(places).reader(), seed=4, epochs=2, mix_shards=3)))

    def read(start, world, workers, batch):
        steps = {}
        for rank in range(world):
            for worker in range(workers):
                stream = SampleStream(Source(places).reader(), seed=4, epochs=2, mix_shards=3)
                place = ReaderRank(rank, world, worker, workers)
                for at, rows in enumerate(numbers(stream, place, batch, start)):
                    steps[worker + at * workers, rank] = rows
        return joined(rows for _, rows in sorted(steps.items()))

    assert read(0, world, workers, 3) == whole
    for start in (0, 5, 72, 73, 74, 100, 146):
        assert read(start, world, workers, 2) == whole[start:]


def test_a_corpus_is_its_sets_and_stays_as_it_was_found(tmp_path):
    corpus = write_corpus(tmp_path)
    listed = json.loads((corpus / "corpus.json").read_bytes())
    places = tuple(str(corpus / "sets" / f"set-{n}") for n in range(4))
    wanted = SampleStream(Source(places).reader())
    for location in (str(corpus), f"{corpus}/corpus.json", f"file://{corpus}", (str(corpus / "corpus.json"),)):
        stream = SampleStream(Source(location, cache=str(tmp_path / "cache")).reader())
        assert stream.identity == wanted.identity
        assert numbers(stream, batch=7) == numbers(wanted, batch=7)
    first = Source(str(corpus), until="night-1").reader()
    assert [part.place.name for part in first.parts] == ["night-0", "night-1"]
    source = Source(str(corpus))
    pinned = source.pinned(source.reader())
    (corpus / "corpus.json").write_text(json.dumps(listed | {"sets": listed["sets"][:2]}))
    assert len(source.reader().parts) == 2
    assert SampleStream(pinned.reader()).identity == wanted.identity


def test_one_set_alone_is_read_as_ever(tmp_path):
    corpus = write_corpus(tmp_path, (30,))
    one = SampleStream(Source(str(corpus / "sets" / "set-0")).reader(), epochs=2)
    for location in (str(corpus), (str(corpus / "sets" / "set-0"),)):
        stream = SampleStream(Source(location).reader(), epochs=2)
        assert stream.identity == one.identity
        assert numbers(stream, batch=4) == numbers(one, batch=4)


def test_sets_without_rows_of_the_split_are_passed_over_and_nothing_but_those_is_refused(tmp_path):
    places = tuple(write_sets(tmp_path, (5, 0, 4)))
    reader = Source(places).reader()
    assert len(reader.parts) == 2
    assert sorted(joined(numbers(SampleStream(reader)))) == list(range(9))
    with pytest.raises(ShardError, match="split 'val' is empty in all 3 shard sets"):
        Source(places, split="val").reader()
    with pytest.raises(ShardError, match="has no split 'test'"):
        Source(places, split="test").reader()


def test_sets_that_do_not_go_together_are_refused_with_both_names(tmp_path):
    one = str(write_set(tmp_path / "one", {"train": [numbered_rows(5)]}))
    long = str(write_set(tmp_path / "long", {"train": [numbered_rows(5, 9)]}))
    small = str(write_set(tmp_path / "small", {"train": [numbered_rows(6, dtype="uint16")]}))
    with pytest.raises(ShardError, match=r"one and .*long cannot be read as one: ids a row 5 and 9"):
        Source((one, long)).reader()
    with pytest.raises(ShardError, match=r"types of ids 'uint32' and 'uint16'"):
        Source((one, small)).reader()
    for what, section, change in (
        ("end-of-text", "vocabulary", {"end_of_text": 9}),
        ("vocabularies of sha256", "vocabulary", {"sha256": "f" * 64}),
        ("sizes of the vocabulary", "vocabulary", {"size": 50}),
        ("labels", "labels", {"names": ["a", "b"]}),
    ):
        manifest = json.loads((tmp_path / "one" / "manifest.json").read_bytes())
        manifest["vocabulary"]["sha256"] = "0" * 64
        (tmp_path / "one" / "manifest.json").write_text(json.dumps(manifest))
        shutil.copytree(one, tmp_path / what)
        manifest[section] = manifest.get(section, {}) | change
        manifest["shards"]["splits"]["train"]["labels"] = [3, 2]
        (tmp_path / what / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(ShardError, match=f"cannot be read as one: {what}"):
            Source((one, str(tmp_path / what))).reader()


def test_a_set_named_twice_is_refused(tmp_path):
    places = write_sets(tmp_path, (5, 4))
    shutil.copytree(places[0], tmp_path / "copy")
    for twice in ((places[0], places[0]), (*places, str(tmp_path / "copy"))):
        with pytest.raises(ShardError, match=r"set-0 and .* hold the same rows of split 'train'"):
            Source(twice).reader()
    with pytest.raises(ValueError, match="no shard sets: give one at least"):
        Source(()).reader()


def test_a_manifest_that_is_not_the_listed_one_and_a_damaged_list_are_refused(tmp_path):
    corpus = write_corpus(tmp_path)
    write_set(corpus / "sets" / "set-2", {"train": [numbered_rows(8)], "val": []})
    with pytest.raises(ShardError, match=r"set-2/manifest.json is altered: its sha256 is"):
        Source(str(corpus)).reader()
    (corpus / "sets" / "set-2" / "manifest.json").unlink()
    with pytest.raises(ShardError, match=r"set-2/manifest.json does not exist"):
        Source(str(corpus)).reader()
    whole = json.loads((corpus / "corpus.json").read_bytes())
    for content, message in (
        ("[", "damaged"),
        ('{"format": 2, "sets": []}', "format 2, this reader knows 1"),
        ('{"format": 1, "sets": []}', "lists no shard set yet"),
        (json.dumps(whole).replace("sets/set-1", "../set-1"), r"corpus.json.sets.1.manifest"),
        (json.dumps(whole).replace('"sha256"', '"sha1"'), "sha256"),
    ):
        (corpus / "corpus.json").write_text(content)
        with pytest.raises(ShardError, match=message):
            Source(str(corpus)).reader()


def test_until_names_a_set_of_a_corpus(tmp_path):
    corpus = write_corpus(tmp_path)
    with pytest.raises(ValueError, match=r"'night-9'\) is none of the sets of .*: night-0, night-1"):
        Source(str(corpus), until="night-9").reader()
    with pytest.raises(ValueError, match=r"set-1 has no corpus.json"):
        Source(str(corpus / "sets" / "set-1"), until="night-1").reader()


def test_a_loss_mask_that_some_sets_have_masks_their_rows_alone(tmp_path):
    masks = {"train": [{"loss_mask": np.tile(np.array([0, 1, 0, 1, 1], np.uint8), (4, 1))}]}
    plain = str(write_set(tmp_path / "plain", {"train": [numbered_rows(8)[:4]]}))
    chat = str(write_set(tmp_path / "chat", {"train": [numbered_rows(8)[4:]]}, columns=masks))
    for places in ((plain, chat), (chat, plain)):
        stream = SampleStream(Source(places).reader())
        (_, batch), *_ = stream.batches(ReaderRank(), 8, BatchForm(INT64))
        for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True):
            whole = numbered_rows(8)[ids[0] - 2].tolist()[1:]
            wanted = [token if shown else -100 for token, shown in zip(whole, [1, 0, 1, 1], strict=True)]
            assert labels.tolist() == (wanted if ids[0] - 2 >= 4 else whole)
    reader = Source((plain, chat)).reader()
    one = make_batch(reader, np.zeros(2, np.int64), np.arange(2), 2, BatchForm(INT64))
    assert (one["labels"] > 0).all()


@pytest.mark.parametrize("file_format", ["parquet", "raw"])
def test_sets_of_different_formats_are_one_stream(tmp_path, file_format):
    lens = {"train": [[[2, 3]] * 6]}
    one = write_set(tmp_path / "one", {"train": [numbered_rows(12)[:6]]}, lens, formats=(file_format,))
    two = write_set(tmp_path / "two", {"train": [numbered_rows(12)[6:]]}, lens, formats=("parquet", "raw"))
    stream = SampleStream(Source((str(one), str(two))).reader())
    (_, batch), *_ = stream.batches(ReaderRank(), 12, BatchForm(INT64, doc_lens=True, position_ids=True))
    assert sorted(batch["input_ids"][:, 0].tolist()) == list(range(2, 14))
    assert batch["doc_lens"].tolist() == [[2, 2]] * 12
    assert batch["position_ids"].tolist() == [[0, 1, 0, 1]] * 12


def test_the_torch_dataset_goes_on_and_refuses_the_state_of_fewer_nights(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed (extra `gpu`)")
    from torch.utils.data import DataLoader

    from winnow.shards import ShardDataset, ShardRows

    corpus = write_corpus(tmp_path)

    def rows(batches):
        return [[int(row[0]) - 2 for row in tokens] for tokens, _ in batches]

    whole = rows(ShardDataset(corpus, global_batch=6, epochs=2, mix_shards=2))
    dataset = ShardDataset(corpus, global_batch=6, epochs=2, mix_shards=2)
    assert rows(DataLoader(dataset, batch_size=None, num_workers=2)) == whole
    first = ShardDataset(corpus, batch_size=3, rank=0, world_size=2, epochs=2, mix_shards=2, until="night-2")
    then = ShardDataset([corpus / "sets" / f"set-{n}" for n in range(3)], global_batch=6, epochs=2, mix_shards=2)
    state = first.state_dict() | {"samples": first.samples_after(4)}
    assert state == {"samples": 24, "order": then.state_dict()["order"], "sets": 3}
    then.load_state_dict(state)
    assert rows(then) == rows(ShardDataset(corpus, global_batch=6, epochs=2, mix_shards=2, until="night-2"))[4:]
    with pytest.raises(ValueError, match=r"first 3 of these 4 shard sets; .* until='night-2'"):
        ShardDataset(corpus, global_batch=6, epochs=2, mix_shards=2).load_state_dict(state)
    alone = ShardDataset(corpus / "sets" / "set-0", mix_shards=2).state_dict()
    assert "sets" not in alone
    with pytest.raises(ValueError, match=r"first 1 of these 4"):
        ShardDataset(corpus, mix_shards=2).load_state_dict(alone)
    with pytest.raises(ValueError, match="another seed"):
        ShardDataset(corpus, mix_shards=3).load_state_dict(state)
    numbered = ShardRows(corpus)
    assert [int(row[0]) - 2 for row in numbered[[0, 22, 23, 72]][0]] == [0, 22, 23, 72]
    (corpus / "corpus.json").unlink()  # whoever gets a copy of a dataset, such as a spawned worker, reads the same sets
    assert len(pickle.loads(pickle.dumps(numbered))) == 73
    assert rows(pickle.loads(pickle.dumps(dataset))) == whole
    assert torch.is_tensor(numbered[0][0])
