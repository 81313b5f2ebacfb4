"""Operators through whole runs: what goes wrong in them, what is computed again, and that the same bytes come out."""

import os
import shutil
from pathlib import Path

import orjson
import pytest
import yaml

from tests.operators.runs import computed, config, corpus, done, failures, shards, signals, write_input
from tests.support.commands import winnow
from winnow import schemas
from winnow.audit.verify.verify import recount
from winnow.config.config import parse_config
from winnow.config.load import load_config
from winnow.engine.engine import StageFailedError
from winnow.errors import ConfigError, UnreadableShareError
from winnow.finished.explain import unreadable
from winnow.runs.corpus import add_new_inputs, is_unchanged
from winnow.runs.run import run
from winnow.runs.state import load_run

OPS = """
import os, signal, time
from pathlib import Path
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import winnow

@winnow.mapper
def shout(batch, *, mark="!"):
    return pc.replace_substring(batch["text"], mark, "")

@winnow.signal
def exclamations(batch):
    return pc.count_substring(batch["text"], "!")

@winnow.signal(columns=["long", "short"])
def lengths(batch):
    length = pc.binary_length(batch["text"])
    return pa.StructArray.from_arrays([length, pc.negate(length.cast(pa.int64()))], ["long", "short"])

@winnow.signal
def after(batch):
    return pc.add(batch["exclamations"], 1)

@winnow.filter
def no_lorem(batch):
    return pc.invert(pc.match_substring(batch["text"], "lorem"))

@winnow.signal
def gaps(batch):
    return [None if n % 2 else float("nan") if n % 3 else 1 for n in map(len, batch["text"].to_pylist())]

@winnow.signal
def raises(batch):
    for text in batch["text"].to_pylist():
        if text.endswith(("number 3", "number 17")):
            raise ValueError("its text must not be told: " + text)
    return [1] * batch.num_rows

@winnow.signal
def kills(batch):
    if any(text.endswith("number 5") for text in batch["text"].to_pylist()):
        os.kill(os.getpid(), signal.SIGKILL)
    return [1] * batch.num_rows

@winnow.signal
def of_chance(batch):
    return np.random.default_rng().random(batch.num_rows)

@winnow.signal
def of_neighbours(batch):
    length = pc.binary_length(batch["text"]).to_numpy()
    return length - length.mean()

@winnow.mapper
def of_the_clock(batch):
    return [f"{text} {time.time_ns()}" for text in batch["text"].to_pylist()]

@winnow.signal
def too_few(batch):
    return [1.0] * (batch.num_rows - 1)

@winnow.signal
def words(batch):
    return batch["text"]

@winnow.signal
def texts_for_numbers(batch):
    return batch["text"]

@winnow.mapper
def numbers_for_texts(batch):
    return list(range(batch.num_rows))

@winnow.filter
def numbers_for_booleans(batch):
    return [1] * batch.num_rows

@winnow.signal
def nothing(batch):
    pass

@winnow.signal(columns=["a", "b"])
def other_columns(batch):
    return {"a": [1] * batch.num_rows, "c": [1] * batch.num_rows}

@winnow.signal(deterministic=False)
def says_so(batch):
    return [1] * batch.num_rows

@winnow.mapper(gpu=True)
def on_gpu(batch):
    return batch["text"]

@winnow.signal(needs=["text", "ulr"])
def needs_a_field(batch):
    return [1] * batch.num_rows

@winnow.signal
class Model:
    def __init__(self, model, *, scale=1.0):
        self.value = float(Path(model).read_text()) * scale

    def __call__(self, batch):
        return [self.value] * batch.num_rows

@winnow.signal
class NoCall:
    pass

def unmarked(batch):
    return [1]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("operators")
    (folder / "my_ops.py").write_text(OPS)
    (folder / "model.txt").write_text("2.5")
    corpus(folder)
    return folder


def use(*names: str, **settings) -> list[dict]:
    return [{"use": f"my_ops.py:{name}", **settings} for name in names]


MANY = [
    *use("exclamations"),
    *use("shout", mark="!!"),
    *use("after", "no_lorem", "lengths", "gaps"),
    *use("Model", name="model", model="model.txt", scale=2),
]
RULES = [
    {"signal": "exclamations", "max": 6},
    {"signal": "gaps", "min": 0, "missing": "drop"},
    {"signal": "lengths.long", "min_quantile": 0.25},
]


@pytest.fixture(scope="module")
def many(folder):
    return done(config(folder, MANY, RULES))


def test_each_sees_what_those_before_it_made(many):
    rows = signals(many[1])
    for row in rows.values():
        assert row["after"] == row["exclamations"] + 1
        assert row["lengths.long"] == len(row["text"].encode()) == row["bytes"] == -row["lengths.short"]
        assert row["text"].count("!") == row["exclamations"] % 2  # the mapper came after
        assert row["model"] == 5
        assert row["no_lorem"] == ("lorem" not in row["text"])
        assert row["gaps"] in (None, 1)  # no NaN stands in a table
    counts = many[1].manifest["operators"]
    assert counts["gaps"]["nulls"] == sum(row["gaps"] is None for row in rows.values()) > 0
    assert counts["no_lorem"]["refused"] == sum(not row["no_lorem"] for row in rows.values()) > 0
    assert counts["shout"]["changed"] == sum(row["exclamations"] > 1 for row in rows.values())
    assert all(balance.expected == balance.found for balance in recount(many[1]))


def test_their_signals_and_verdicts_decide(many):
    rows, failed = signals(many[1]), failures(many[1])
    assert {n for n, f in failed.items() if "max_exclamations" in f} == {
        n for n, row in rows.items() if row["exclamations"] > 6
    }
    assert {n for n, f in failed.items() if "min_gaps" in f} == {n for n, row in rows.items() if row["gaps"] is None}
    assert {n for n, f in failed.items() if "no_lorem" in f} == {n for n, row in rows.items() if "lorem" in row["text"]}
    assert 0.15 < sum("min_lengths.long" in f for f in failed.values()) / len(failed) < 0.25
    kept = many[1].manifest["books"]["outcomes"]["kept"]
    assert 0 < kept <= sum(not found for found in failed.values())
    (name,) = [n for n, f in failed.items() if "min_gaps" in f][:1]
    assert "signal     gaps: no value" in winnow("why", name, many[1].store.root)[1]


def test_the_same_command_computes_nothing_and_a_changed_threshold_no_text(folder, many):
    assert computed(run(load_config(str(folder / "run.yaml")))) == set()
    other = [{**RULES[0], "max": 5}, RULES[1], {**RULES[2], "min_quantile": 0.5}]
    context, _ = done(config(folder, MANY, other))
    again = computed(context)
    assert {"quantile_bins", "quantile_cuts", "filter"} <= again
    assert not {"measure", "quantile_counts"} & again
    assert computed(done(config(folder, MANY, RULES))[0]) == set()


def test_the_run_folder_is_enough_to_resume_and_to_explain(tmp_path):
    shutil.copy(_file(tmp_path, OPS), tmp_path / "my_ops.py")
    (tmp_path / "model.txt").write_text("2.5")
    corpus(tmp_path)
    context, _ = done(config(tmp_path, MANY, RULES))
    (tmp_path / "my_ops.py").unlink()
    (tmp_path / "model.txt").unlink()
    assert computed(run(load_config(str(tmp_path / "run" / "config.yaml")))) == set()
    assert winnow("why", "web1", str(tmp_path / "run"))[0] == 0
    with pytest.raises(ConfigError, match=r"measure.operators.0: .*my_ops.py: No such file"):
        load = load_config(str(tmp_path / "run.yaml"))
        run(load)
    state = orjson.loads((tmp_path / "run" / "state.json").read_bytes())
    for entry in state["config"]["measure"]["operators"]:
        assert entry["use"].startswith("operators/")
        assert len(entry["pinned"]) == 32
    assert (tmp_path / "run" / state["config"]["measure"]["operators"][-1]["model"]).read_text() == "2.5"


def _file(folder: Path, text: str) -> Path:
    path = folder / "given.py"
    path.write_text(text)
    return path


def test_a_changed_file_model_or_setting_computes_measure_again_and_what_follows_only(tmp_path):
    path = tmp_path / "my_ops.py"
    path.write_text(OPS)
    (tmp_path / "model.txt").write_text("2.5")
    corpus(tmp_path)
    settings = config(tmp_path, MANY[:2] + MANY[-1:], RULES[:1])
    before, finished = done(settings)
    assert is_unchanged(load_config(str(settings)))
    path.write_text(OPS + "\n# a comment\n")
    assert not is_unchanged(load_config(str(settings)))
    context, again = done(settings)
    assert computed(context) == {"measure"}  # the tables are the same, so nothing after it is
    assert shards(again) == shards(finished)
    (tmp_path / "model.txt").write_text("3")
    context, _ = done(settings)
    assert {"measure", "filter"} <= computed(context)
    assert not {"tokenise", "shards", "count"} & computed(context)  # texts and decisions are the same
    path.write_text(
        OPS.replace('pc.replace_substring(batch["text"], mark, "")', 'pc.replace_substring(batch["text"], mark, "?")')
    )
    context, again = done(settings)
    assert {"measure", "filter", "tokenise", "shards"} <= computed(context)
    assert shards(again) != shards(finished)
    path.write_text(OPS)
    (tmp_path / "model.txt").write_text("2.5")
    assert computed(done(settings)[0]) == set()


def test_an_exception_is_isolated_to_its_documents(folder):
    path = config(folder, use("raises", "exclamations"), name="raising", compute={"max_unreadable_share": 0.1})
    context, finished = done(path)
    rows = signals(finished)
    assert {"web3", "web17"} & rows.keys() == set()
    assert len(rows) == len((folder / "web.jsonl").read_text().splitlines()) - 2
    (record,) = unreadable(finished, "web3")
    line = 1 + OPS.split("\n").index('            raise ValueError("its text must not be told: " + text)')
    assert record.reason == f"operator raises: raises ValueError (my_ops.py, line {line})"
    assert finished.manifest["books"]["outcomes"][schemas.UNREADABLE] == 2
    assert finished.manifest["operators"]["raises"]["errors"] == 2
    assert finished.manifest["operators"]["exclamations"]["documents"] == len(rows)
    code, output = winnow("run", str(path))
    assert "unreadable: 2 x operator raises, such as" in output
    assert "; 2 unreadable because it raised" in output
    assert "must not be told" not in output
    code, output = winnow("why", "web17", finished.store.root)
    assert "operator raises: raises ValueError" in output
    assert all(balance.expected == balance.found for balance in recount(finished))
    with pytest.raises(UnreadableShareError, match=r"2 of \d+ records .*\n.*operator raises"):
        done(path, "compute.max_unreadable_share=0.01")


@pytest.mark.parametrize("memory", [256, 2048])
def test_batches_change_nothing(folder, many, memory, monkeypatch):
    from winnow.flow import measure as flow

    monkeypatch.setattr(flow, "batch_bytes", lambda _mb: memory * 20)  # a few documents a batch
    _, finished = done(config(folder, MANY, RULES, name=f"batches-{memory}"))
    assert shards(finished) == shards(many[1])
    assert signals(finished) == signals(many[1])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("too_few", r"operator too_few \(signal\) returned \d+ values for \d+ documents; expected one number a doc"),
        ("texts_for_numbers", r"returned an array of large_string; expected one number a document"),
        ("numbers_for_texts", r"operator numbers_for_texts \(mapper\) returned a list of int; expected one text"),
        ("numbers_for_booleans", r"\(filter\) returned an array of int64; expected one boolean a document"),
        ("nothing", r"operator nothing \(signal\) returned nothing \(None\); expected one number"),
        ("other_columns", r"returned a dict with columns a, c; expected columns a, b, each one number"),
        ("of_chance", r"operator of_chance gave 0\.\d+, then 0\.\d+ for document web\d+ when it was asked again"),
        ("of_neighbours", r"operator of_neighbours gave .* for document web\d+ when it was asked again among other"),
        ("of_the_clock", r"operator of_the_clock gave another text for document web\d+"),
    ],
)
def test_what_breaks_the_contract_ends_the_run(folder, name, message):
    with pytest.raises(StageFailedError, match=message):
        done(config(folder, use(name), name=f"breaks-{name}"))


def test_what_breaks_the_contract_sets_no_document_aside(folder):
    path = config(folder, use("too_few"), name="tried", compute={"attempts": 2})
    with pytest.raises(StageFailedError, match="operator too_few"):
        done(path)
    assert not (folder / "tried" / "quarantine").exists()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"use": "my_ops.py:exclamation"}, "my_ops.py has no 'exclamation'; did you mean 'exclamations'"),
        ({"use": "my_ops.py:unmarked"}, "unmarked is not marked as an operator; put @winnow.signal"),
        ({"use": "no_ops.py:x"}, "no_ops.py: No such file or directory"),
        ({"use": "my_ops.py"}, "names a file, but nothing in it; expected .*my_ops.py:NAME"),
        ({"use": "my_ops.py:shout", "makr": "?"}, "its settings do not fit shout.*; makr: did you mean 'mark'"),
        ({"use": "my_ops.py:Model", "name": "m"}, "its settings do not fit Model.*missing a required argument"),
        ({"use": "my_ops.py:NoCall"}, "class NoCall has no __call__"),
        ({"use": "my_ops.py:says_so"}, "says deterministic=False, and a run promises the same bytes"),
        ({"use": "my_ops.py:on_gpu"}, "is a mapper with gpu=True; operators on GPUs run on what dedup kept"),
        ({"use": "my_ops.py:exclamations", "on_gpu": True}, "on_gpu is what its decorator says"),
        ({"use": "my_ops.py:words"}, "'words' is a signal or column of Winnow's own; give it another `name`"),
        ({"use": "my_ops.py:needs_a_field"}, "needs the column 'ulr'; did you mean 'url'"),
        ({"use": "no.such.package:x"}, "no.such.package: cannot be imported: ModuleNotFoundError"),
        ({"use": "no_such_entry"}, "no installed package has an entry point of this name in group winnow.operators"),
        ({"use": "my_ops.py:shout", "name": "a b"}, r"name \('a b'\) must consist of letters"),
        ({"use": "my_ops.py:shout", "pinned": "0" * 32}, "is not what `pinned` names"),
        ({"use": "imports.py:x"}, "line 2 imports my_ops, which lies beside it, but an operator's file travels to the"),
        ({"use": "raising.py:x"}, "raising.py: cannot be loaded: ZeroDivisionError: division by zero"),
        ({"use": "broken.py:x"}, "broken.py: line 1: "),
    ],
)
def test_operators_that_are_refused_before_any_work(folder, entry, message):
    (folder / "imports.py").write_text("import json\nfrom my_ops import shout\n")
    (folder / "raising.py").write_text("1 / 0\n")
    (folder / "broken.py").write_text("def x(:\n")
    path = config(folder, [entry], name="refused")
    values = yaml.safe_load(path.read_text())
    values["sources"][0]["keep"] = ["url"]
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError, match=message):
        done(path)
    assert not (folder / "refused").exists()


def test_names_order_and_structures_are_looked_at_before_any_work(folder):
    with pytest.raises(ConfigError, match="two operators are named 'exclamations'"):
        done(config(folder, use("exclamations", "exclamations"), name="refused"))
    with pytest.raises(ConfigError, match="no signal is named 'exclamation'; did you mean 'exclamations'"):
        done(config(folder, use("exclamations"), [{"signal": "exclamation", "max": 1}], name="refused"))
    with pytest.raises(ConfigError, match="'no_lorem' is the name of an operator that filters"):
        done(config(folder, use("no_lorem"), [{"signal": "words", "max": 1, "name": "no_lorem"}], name="refused"))
    path = config(folder, use("shout"), name="refused")
    values = yaml.safe_load(path.read_text())
    values["sources"][0] |= {"prompt": "id", "response": "text"}
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError, match="operator shout changes texts, but the records of source web are more"):
        done(path)


def test_structured_documents_have_signals_and_verdicts(tmp_path):
    (tmp_path / "my_ops.py").write_text(OPS)
    write_input(
        tmp_path, [f"Answer {n}!" for n in range(6)], q=[f"Question {n} lorem" if n == 2 else "Q" for n in range(6)]
    )
    path = config(tmp_path, use("exclamations", "no_lorem"))
    values = yaml.safe_load(path.read_text())
    values["sources"][0] |= {"prompt": "q", "response": "text"}
    path.write_text(yaml.safe_dump(values))
    _, finished = done(path)
    rows = signals(finished)
    assert {row["exclamations"] for row in rows.values()} == {1}
    assert [n for n, row in rows.items() if not row["no_lorem"]] == ["web2"]


def test_modules_and_entry_points(tmp_path, monkeypatch):
    package = tmp_path / "site" / "acme_operators"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "ops.py").write_text(OPS)
    info = tmp_path / "site" / "acme_operators-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-operators\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[winnow.operators]\nbangs = acme_operators.ops:exclamations\n")
    (info / "RECORD").write_text("acme_operators/__init__.py,,\nacme_operators/ops.py,,\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    corpus(tmp_path)
    _, finished = done(config(tmp_path, [{"use": "bangs"}, {"use": "acme_operators.ops:no_lorem"}]))
    rows = signals(finished)
    assert all(row["bangs"] == row["text"].count("!") for row in rows.values())
    (context,) = (finished.config.measure.operators,)
    assert [entry.name for entry in context] == ["bangs", "no_lorem"]
    from winnow.config.operators import pin_operators

    values = {"run": "r", "sources": [{"name": "web", "path": "p"}], "measure": {"operators": [{"use": "bangs"}]}}
    origin = pin_operators(parse_config(values)).measure.operators[0].found.origin
    assert origin["distributions"] == {"acme-operators": "1.0"}
    assert list(origin["sources"]) == ["acme_operators.ops"]


def test_a_document_that_kills_the_process_goes_through_quarantine(tmp_path):
    (tmp_path / "my_ops.py").write_text(OPS)
    texts = corpus(tmp_path)
    path = config(tmp_path, use("kills", "exclamations"), compute={"max_unreadable_share": 0.1})
    (tmp_path / "run").mkdir()
    attempt = {"state": "running", "message": "", "stages": [], "missing": [], "deaths": 1}
    (tmp_path / "run" / "attempt.json").write_bytes(orjson.dumps(attempt))  # it died twice
    _, finished = done(path)
    (record,) = unreadable(finished, "web5")
    assert record.reason == "fatal: ends its process (SIGKILL) in measure"
    assert len(signals(finished)) == len(texts) - 1
    assert finished.manifest["operators"]["kills"]["documents"] == len(texts) - 1


def test_a_corpus_that_grows_has_mappers_of_one_kind(tmp_path):
    (tmp_path / "my_ops.py").write_text(OPS)
    corpus(tmp_path)
    path = config(tmp_path, use("shout"), RULES[2:0])
    assert add_new_inputs(load_config(str(path))) is not None
    assert add_new_inputs(load_config(str(path))) is None
    path = config(tmp_path, use("shout", mark="?"))
    with pytest.raises(ConfigError, match=r"dedup.index: .* other settings.*\n.*measure.operators.shout"):
        add_new_inputs(load_config(str(path)))
    path = config(tmp_path, use("shout", "exclamations"))  # signals may change
    assert add_new_inputs(load_config(str(path))) is None


@pytest.mark.ray
@pytest.mark.slow
def test_two_ray_workers_give_the_shards_of_one_process(local_ray, folder, many, monkeypatch):
    monkeypatch.setattr("winnow.engine.engine.TINY_STAGE_BYTES", 0)
    sections = {"compute": {"executor": "ray", "workers": 2, "attempts": 2}}
    _, finished = done(config(folder, MANY, RULES, name="ray", **sections))
    assert shards(finished) == shards(many[1])
    assert signals(finished) == signals(many[1])
    assert repr(failures(finished)) == repr(failures(many[1]))  # a missing value is NaN there


def test_submit_sends_files_of_operators_along(folder, monkeypatch):
    path = config(folder, [*use("shout", mark="?"), *use("Model", name="model", model="model.txt")], name="sent")
    jobs, sent = [], {}

    class Client:
        def submit_job(self, **job):
            jobs.append(job)
            root = Path(job["runtime_env"]["working_dir"])
            sent.update({str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()})
            monkeypatch.chdir(root)
            options = job["entrypoint"].split(" --set ")[1:]
            import shlex

            there = load_config("sent.yaml", [shlex.split(option)[0] for option in options])
            sent["config"] = there.measure.operators
            monkeypatch.undo()
            return "a"

    monkeypatch.setattr("jobs.submit.connect", lambda _address: Client())
    working = os.getcwd()
    code, output = winnow("submit", str(path), "--no-wait")
    os.chdir(working)
    assert code == 0, output
    assert sent["operators/0/use/my_ops.py"].decode() == OPS
    assert sent["operators/1/model/model.txt"] == b"2.5"
    first, second = sent["config"]
    assert first.use.endswith("/operators/0/use/my_ops.py:shout")
    assert first.settings == {"mark": "?"}
    assert second.settings["model"].endswith("/operators/1/model/model.txt")


@pytest.mark.slow
def test_an_operator_and_a_run_in_an_object_store(s3, folder, many, tmp_path):
    import s3fs

    bucket = "winnow-operators"
    files = s3fs.S3FileSystem()
    files.makedirs(bucket, exist_ok=True)
    for name in ("my_ops.py", "model.txt", "web.jsonl"):
        files.put(str(folder / name), f"{bucket}/given/{name}")
    there = f"s3://{bucket}/given"
    operators = [{**entry, "use": f"{there}/{entry['use']}"} for entry in MANY]
    operators[-1]["model"] = f"{there}/model.txt"
    path = config(tmp_path, operators, RULES)
    values = yaml.safe_load(path.read_text())
    values |= {"run": f"s3://{bucket}/run", "storage": {"scratch": str(tmp_path / "scratch")}}
    values["sources"][0]["path"] = str(folder / "web.jsonl")
    path.write_text(yaml.safe_dump(values))
    _, finished = done(path)
    assert shards(finished) == shards(many[1])
    from winnow.config.load import read_config

    again = read_config(finished.store.read("config.yaml"), finished.store.location("config.yaml"))
    assert computed(run(again)) == set()
    assert shards(load_run(f"s3://{bucket}/run")) == shards(many[1])
