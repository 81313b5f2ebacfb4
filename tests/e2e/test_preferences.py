"""Preference pairs through a whole run: the books, the splits, and what trl makes of the same records by itself."""

import json
import random
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from tests.support.configs import run_config, source_of
from winnow.audit.verify.verify import check_shards, recount
from winnow.config.config import parse_config
from winnow.errors import UnreadableShareError
from winnow.finished.shards import read_stored, stored_shards
from winnow.report.summary import summary_of
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.shards.preferences import PARTS

TOKENS = 40
WORDS = "the film was a story of people in town who walk and talk about rain good poor cold warm".split()
LONG = " ".join(WORDS * 3)
TEMPLATE = (
    "{% for message in messages %}[{{ message['role'] }}] {% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] }}{{ eos_token }}{% endgeneration %}"
    "{% else %}{{ message['content'] }} | {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)


def pairs(prompts: int) -> list[dict]:
    """Three pairs of each prompt, in the form of UltraFeedback; answers of all lengths, some beyond the row."""
    draws = random.Random(3)
    records = []
    for number in range(prompts):
        prompt = f"{number}: {' '.join(draws.choices(WORDS, k=draws.randint(3, 12)))}?"
        for pair in range(3):
            answers = [" ".join(draws.choices(WORDS, k=draws.randint(1, 45))) for _ in range(2)]
            record = {"id": f"{number}-{pair}", "prompt": prompt, "score_chosen": 8.5, "score_rejected": 3.0}
            for side, answer in zip(("chosen", "rejected"), answers, strict=True):
                record[side] = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
            records.append(record)
    return records


def config_of(folder: Path, shared: Path, records: list[dict], name: str = "run", **sections) -> dict:
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    fields = {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected", "chat_template": TEMPLATE, "id": "id"}
    shards = {"row": "preference", "sequence_tokens": TOKENS, "splits": {"val": 0.3}, "columns": ["docs"]}
    return run_config(
        folder / name,
        source_of(folder / f"{name}.jsonl", keep=["score_chosen"], **fields),
        tokenise={"encoding": str(shared / "vocab" / "gpt2-tokenizer.json")},
        **{"shards": shards, "compute": {"max_unreadable_share": 0.2}} | sections,
    )


@pytest.fixture(scope="module")
def finished(shared, tmp_path_factory):
    records = pairs(40)
    first = records[0]
    records += [
        {**first, "id": "again"},
        {**first, "id": "same", "rejected": first["chosen"]},
        {**first, "id": "empty", "rejected": ""},
        {**first, "id": "long", "prompt": LONG, "chosen": "yes", "rejected": "no"},
        {**first, "id": "cut", "prompt": "What?", "chosen": f"{LONG} yes", "rejected": f"{LONG} no"},
    ]
    config = config_of(tmp_path_factory.mktemp("pairs"), shared, records)
    run(parse_config(config))
    return load_run(config["run"])


def rows_of(finished) -> dict[str, list[dict]]:
    """By split, what the shards' files hold."""
    found = defaultdict(list)
    for shard in stored_shards(finished, "parquet"):
        found[shard.split] += pq.read_table(finished.store.path(shard.path)).to_pylist()
    return found


def documents_of(finished) -> dict[int, dict]:
    tables = [pq.read_table(finished.store.path(part.documents["path"])) for part in finished.parts]
    return {row["doc"]: row for table in tables for row in table.to_pylist()}


def test_every_pair_is_accounted_for(finished):
    assert check_shards(finished) == []
    assert all(balance.expected == balance.found for balance in recount(finished))
    outcomes = finished.manifest["books"]["outcomes"]
    assert (outcomes["unreadable"], outcomes["exact_duplicate"]) == (2, 1)
    splits = finished.manifest["shards"]["splits"]
    assert sum(split["documents"] for split in splits.values()) == 122
    assert sum(split["rows"] for split in splits.values()) == 120
    assert sum(split["dropped_documents"] for split in splits.values()) == 2
    assert finished.manifest["shards"]["columns"] == ["docs", *PARTS]
    told = "\n".join(line for line in summary_of(finished) if isinstance(line, str))
    assert "WARNING: 2 preference pairs have no ids, such as document" in told
    assert "preference pairs lost the end of an answer" in told
    assert "1 x same answers" in told


def test_pairs_of_one_prompt_never_straddle_a_split(finished):
    documents, splits_of = documents_of(finished), defaultdict(set)
    for split, rows in rows_of(finished).items():
        for row in rows:
            (doc,) = set(row["docs"])
            splits_of[documents[doc]["id"].split("-")[0]].add(split)
    assert len(splits_of) == 40
    assert all(len(splits) == 1 for splits in splits_of.values())
    assert {"train", "val"} == set().union(*splits_of.values())


def test_rows_read_back_are_those_written(finished):
    for shard in stored_shards(finished, "parquet"):
        packed = read_stored(finished, "parquet", shard)
        for row, stored in enumerate(pq.read_table(finished.store.path(shard.path)).to_pylist()):
            ids = [number for name in PARTS for number in stored[name]]
            assert packed.rows[row, : len(ids) + 1].tolist() == [*ids, finished.manifest["vocabulary"]["end_of_text"]]
            assert packed.pieces[3 * row : 3 * row + 3].sum() == len(ids) + 1
            assert stored["doc_starts"] == [0, len(stored["prompt_ids"]), len(ids) - len(stored["rejected_ids"])]
            assert max(len(stored["chosen_ids"]), len(stored["rejected_ids"])) + len(stored["prompt_ids"]) <= TOKENS


def test_too_many_pairs_without_room_end_the_run(shared, tmp_path):
    config = config_of(tmp_path, shared, pairs(4), shards={"row": "preference", "sequence_tokens": 4, "splits": {}})
    with pytest.raises(UnreadableShareError, match="are preference pairs that get no ids.*no answer fits"):
        run(parse_config(config))


@pytest.fixture(scope="module")
def trl():
    pytest.importorskip("torch", reason="torch is not installed (extra `gpu`)")
    return pytest.importorskip("trl", reason="trl is not installed (extra `dev`)")


def tokenizer_of(shared: Path):
    transformers = pytest.importorskip("transformers")
    file = str(shared / "vocab" / "gpt2-tokenizer.json")
    eos = "<|endoftext|>"
    return transformers.PreTrainedTokenizerFast(
        tokenizer_file=file, eos_token=eos, pad_token=eos, chat_template=TEMPLATE
    )


@pytest.mark.slow
def test_ids_are_those_that_trl_makes_of_the_records(finished, trl, shared):
    """Prompt and answers through trl's own preparation and collator, cut as it cuts."""
    from datasets import Dataset
    from trl.trainer.dpo_trainer import DataCollatorForPreference, DPOTrainer

    tokenizer, documents = tokenizer_of(shared), documents_of(finished)
    records = {record["id"]: record for record in pairs(40)}
    stored = {documents[row["docs"][0]]["id"]: row for rows in rows_of(finished).values() for row in rows}
    chosen = [{side: records[name][side] for side in ("chosen", "rejected")} for name in stored]
    settings = SimpleNamespace(dataset_num_proc=None, max_length=TOKENS, truncation_mode="keep_start")
    prepared = DPOTrainer._prepare_dataset(
        SimpleNamespace(_tokenizer=tokenizer), Dataset.from_list(chosen), tokenizer, settings, "train"
    )
    collate = DataCollatorForPreference(pad_token_id=tokenizer.pad_token_id, max_length=TOKENS)
    cut = 0
    for name, theirs in zip(stored, prepared, strict=True):
        ours, expected = collate([stored[name]]), collate([theirs])
        for column in expected:
            assert ours[column].tolist() == expected[column].tolist(), name
        cut += len(theirs["prompt_ids"] + theirs["chosen_ids"]) > TOKENS
    assert cut > 10


@pytest.mark.slow
def test_the_reader_gives_the_batches_of_trls_collator(finished, trl):
    from torch.utils.data import DataLoader
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    from winnow.shards import ShardDataset, ShardRows

    folder = finished.store.path(finished.shards)
    end = finished.manifest["vocabulary"]["end_of_text"]
    collate, rows = DataCollatorForPreference(pad_token_id=end), rows_of(finished)["train"]
    data = ShardDataset(folder, batch_size=7, as_dict=True, tail="pad")
    for step, batch in enumerate(DataLoader(data, batch_size=None, num_workers=2)):
        mine = rows[7 * step : 7 * step + 7]
        expected = collate(mine)
        assert batch.keys() == expected.keys()
        real = [*range(len(mine)), *range(7, 7 + len(mine))]
        assert all(batch[name][real].tolist() == expected[name].tolist() for name in expected)
        assert batch["completion_mask"].sum() == expected["completion_mask"].sum()  # nothing of empty pairs
    assert step == (len(rows) - 1) // 7
    some = ShardRows(folder, as_dict=True)[[5, 0]]
    assert all(some[name].tolist() == values.tolist() for name, values in collate([rows[5], rows[0]]).items())
    assert ShardRows(folder, as_dict=True)[3]["input_ids"].tolist() == collate([rows[3]])["input_ids"].tolist()
    with pytest.raises(ValueError, match="preference pairs, which come in batches of dicts"):
        ShardDataset(folder, batch_size=2)
    with pytest.raises(ValueError, match="have no position_ids"):
        ShardRows(folder, as_dict=True, position_ids=True)


@pytest.mark.slow
def test_trls_loss_on_the_shards_is_that_of_a_computation_by_hand(finished, trl, shared, tmp_path):
    import torch
    from datasets import load_dataset
    from transformers import LlamaConfig, LlamaForCausalLM
    from trl import DPOConfig, DPOTrainer

    class OnIds(DPOTrainer):
        def _prepare_dataset(self, dataset, *_):
            return dataset

    folder = finished.store.path(finished.shards)
    data = load_dataset("parquet", data_files=f"{folder}/train-*.parquet", split="train", cache_dir=str(tmp_path))
    shape = LlamaConfig(
        vocab_size=finished.manifest["vocabulary"]["size"], hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2,
    )  # fmt: skip
    torch.manual_seed(0)
    model, reference = LlamaForCausalLM(shape), LlamaForCausalLM(shape)
    settings = DPOConfig(
        output_dir=str(tmp_path / "out"), beta=0.3, use_cpu=True, bf16=False, report_to=[], max_length=TOKENS,
        per_device_train_batch_size=6, gradient_checkpointing=False,
    )  # fmt: skip
    trainer = OnIds(model, reference, settings, train_dataset=data, processing_class=tokenizer_of(shared))
    batch = trainer.data_collator([data[n] for n in range(6)])
    found = float(trainer.compute_loss(trainer.model, batch))

    def log_probability(policy, prompt, answer):
        ids = torch.tensor([prompt + answer])
        with torch.no_grad():
            every = policy(ids).logits.log_softmax(-1)[0]
        return sum(float(every[len(prompt) + n - 1, number]) for n, number in enumerate(answer))

    losses = []
    for row in rows_of(finished)["train"][:6]:
        margin = 0.0
        for sign, side in ((1, "chosen_ids"), (-1, "rejected_ids")):
            for also, policy in ((1, model), (-1, reference)):
                margin += sign * also * log_probability(policy, row["prompt_ids"], row[side])
        losses.append(-float(torch.nn.functional.logsigmoid(torch.tensor(0.3 * margin))))
    assert found == pytest.approx(sum(losses) / 6, rel=1e-4)
