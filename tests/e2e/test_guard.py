"""What a removal keeps, through whole runs: ledger, summary, `why`, manifest, nights, and the same bytes everywhere."""

import orjson
import pytest

from tests.support.commands import winnow
from tests.support.configs import night_config, run_config, source_of
from tests.support.finished import alter_decisions, ledger, shards_of
from winnow.audit.dedup import SampleSizes, audit_dedup
from winnow.audit.losses import content_ngrams, marked
from winnow.audit.verify.similarity import check_similarities
from winnow.config.config import parse_config
from winnow.flow.guard import losses_of
from winnow.report.summary import _as_text
from winnow.runs.run import run
from winnow.runs.state import load_run

ENGLISH = (
    "The chart is stored in a folder. Its name is that of the folder, and its version is told in the file beside it. "
)
GERMAN = (
    "Das Paket liegt in einem Ordner. Es heißt wie der Ordner, und seine Version steht in der Datei daneben. Fertig. "
)
RUSSIAN = "Пакет лежит в папке. Его имя совпадает с именем папки, а версия указана в файле рядом с ним. Готово. "
SMALL = SampleSizes(documents=100, removed=100, planted=0)


def code(name: str, words: int = 900) -> str:
    return "```\n" + " ".join(f"{name}{n}" for n in range(words)) + "\n```\n"


def words(name: str, number: int) -> list[str]:
    return [f"{name}w{n}" for n in range(number)]


def documents() -> dict[str, str]:
    """Pairs that reach the threshold: the second of each is the one that could go."""
    long, other = words("c", 300), words("d", 300)
    return {
        "script-1": code("s") + ENGLISH * 3 + "and this one is the longest of the two by far, for it goes on",
        "script-2": code("s") + RUSSIAN * 2,
        "language-1": code("l") + ENGLISH * 4 + "which is a little longer than the other page in all its parts",
        "language-2": code("l") + GERMAN * 4,
        "held-1": " ".join([*long, *words("more", 5)]),
        "held-2": " ".join(long),
        "little-1": " ".join([*other, *words("longer", 40)]),
        "little-2": " ".join([*other[:265], *words("new", 29), *other[294:]]),
        "same-1": "exactly the same words here as in the next one",
        "same-2": "exactly the same words here as in the next one",
    }


def write(path, texts: dict[str, str]):
    path.write_text("".join(orjson.dumps({"id": name, "text": text}).decode() + "\n" for name, text in texts.items()))
    return path


def finish(tmp_path, texts, guard=None, name="run", **sections):
    file = write(tmp_path / f"{name}.jsonl", texts)
    dedup = {"threshold": 0.7} | sections.pop("dedup", {}) | ({} if guard is None else {"guard": guard})
    shards = {"sequence_tokens": 127}
    run(parse_config(run_config(tmp_path / name, source_of(file, id="id"), dedup=dedup, shards=shards, **sections)))
    return ledger(tmp_path / name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guard")
    finish(folder, documents())
    finish(folder, documents(), "off", "off")
    return folder


def test_each_document_stays_for_its_reason(folder):
    rows = ledger(folder / "run")
    assert {name: row["guard"] for name, row in rows.items() if row["guard"]} == {
        "script-2": "script",
        "language-2": "language",
        "little-2": "containment",
    }
    for name in ("script", "language", "little"):
        assert rows[f"{name}-2"]["outcome"] == "kept"
        assert rows[f"{name}-2"]["guard_keeper"] == rows[f"{name}-1"]["doc"]
        assert rows[f"{name}-2"]["similarity"] >= 0.7
        assert rows[f"{name}-2"]["keeper"] is None
    held = rows["held-2"]
    assert (held["outcome"], held["containment"], held["lost_ngrams"]) == ("near_duplicate", 1.0, 0)
    same = rows["same-2"]
    assert (same["outcome"], same["containment"], same["lost_ngrams"]) == ("exact_duplicate", 1.0, 0)
    assert rows["little-2"]["lost_ngrams"] == 31  # 29 new words in a row, and two runs across each border
    assert rows["little-2"]["containment"] == pytest.approx(1 - 31 / 298)


def test_without_a_guard_all_of_them_go(folder):
    rows = ledger(folder / "off")
    assert [name for name, row in rows.items() if row["outcome"] == "kept"] == [
        name for name in documents() if name.endswith("-1")
    ]
    assert {row["guard"] for row in rows.values()} == {None}
    assert rows["held-2"]["containment"] is None  # nobody looked
    assert losses_of(load_run(str(folder / "off"))) is None


def test_summary_and_manifest_tell_it(folder):
    finished = load_run(str(folder / "run"))
    told = _as_text(finished).decode()
    assert (
        "1 removals of near-duplicates lost 0.0 word 3-grams in the mean; 1 lost none; see `winnow audit dedup`" in told
    )
    assert "dedup.guard kept 3 documents that reach the threshold with a kept one (1 another script, 1 another " in told
    assert finished.manifest["dedup"]["kept_by_guard"] == {
        "script": 1, "language": 1, "shorter": 0, "containment": 1, "template": 0,
    }  # fmt: skip


def test_why_tells_it(folder):
    code, told = winnow("why", "script-2", str(folder / "run"))
    assert code == 0
    assert "guard      not removed for script-1  (number 0): it is in another script (dedup.guard)" in told
    assert "it would lose" in told and "of its word 3-grams" in told
    code, told = winnow("why", "held-2", str(folder / "run"))
    assert code == 0 and "lost       nothing: the kept text holds 1.0000 of its word 3-grams" in told
    code, told = winnow("why", "held-2", str(folder / "off"))
    assert code == 0 and "lost       not known: no guard looked at this removal" in told


def loosely(tmp_path):
    """A run that asks nothing: its removals lose something."""
    nothing = {"script": False, "language": False, "min_containment": 0, "keeper_not_shorter": False}
    rows = finish(tmp_path, documents(), nothing)
    return load_run(str(tmp_path / "run")), rows


@pytest.mark.slow
def test_the_worst_removals_are_named_and_shown(tmp_path):
    finished, rows = loosely(tmp_path)
    lost = {row["doc"]: row["lost_ngrams"] for row in rows.values() if row["outcome"] == "near_duplicate"}
    order = sorted((doc for doc in lost if lost[doc]), key=lambda doc: (-lost[doc], doc))
    assert f"the worst {max(lost.values())} (document {order[0]})" in _as_text(finished).decode()
    audit = audit_dedup(finished, SMALL, 1)
    assert [loss.doc for loss in audit.losses.worst] == order
    assert [loss.lost for loss in audit.losses.worst] == [lost[doc] for doc in order]
    assert audit.guaranteed
    assert audit.losses.mean == pytest.approx(sum(lost.values()) / len(lost))
    assert (audit.losses.most, audit.losses.without_loss) == (max(lost.values()), 1)
    (little,) = [loss for loss in audit.losses.worst if loss.id == "little-2"]
    assert next(text for kind, text in little.removed_text if kind == "lost").startswith("dw263 dw264 neww0")
    assert not any("dw100" in text for kind, text in little.removed_text if kind == "lost")
    assert any(kind == "cut" for kind, _ in little.removed_text)
    assert any("longerw0" in text for kind, text in little.kept_text if kind == "lost")


def test_a_marked_text_is_cut_and_never_called_the_same_where_it_is_lost():
    """Without cuts the pieces are the text; what is marked holds just the runs of words that the other lacks."""
    text = " ".join([*words("a", 40), *words("new", 30), *words("b", 40)])
    others = content_ngrams(" ".join([*words("a", 40), *words("b", 40)]))
    assert "".join(piece for _, piece in marked(text, content_ngrams(text), 10_000)) == text
    pieces = marked(text, others, 10_000)
    (lost,) = [piece for kind, piece in pieces if kind == "lost"]
    assert lost == text[text.index("aw38") : text.index(" bw2")]
    short = marked(text, others, 50)
    assert [kind for kind, _ in short] == ["cut", "same", "lost", "cut"]
    assert short[2][1] == lost[:50]
    assert marked("", others, 50) == ()


@pytest.mark.parametrize(
    ("field", "value"), [("lost_ngrams", 3), ("containment", 0.8), ("keeper", "script-1"), ("similarity", 0.99)]
)
def test_audit_and_verify_see_a_ledger_that_is_wrong(tmp_path, field, value):
    rows = finish(tmp_path, documents())
    finished = load_run(str(tmp_path / "run"))
    balance = check_similarities(finished)
    assert balance.expected == balance.found == 2
    assert audit_dedup(finished, SMALL, 1).guaranteed
    alter_decisions(finished, rows["held-2"]["doc"], **{field: rows[value]["doc"] if field == "keeper" else value})
    assert check_similarities(finished).found == 1
    assert not audit_dedup(finished, SMALL, 1).guaranteed


def test_verify_sees_what_the_guard_would_not_have_let_go(tmp_path):
    """A run without a guard, looked at as if it had one."""
    finished, _ = loosely(tmp_path)
    assert check_similarities(finished).found == 5
    guarded = finished.config.dedup.model_copy(update={"guard": parse_config(GUARDED).dedup.guard})
    object.__setattr__(finished.config, "dedup", guarded)
    assert check_similarities(finished).found < 5
    audit = audit_dedup(finished, SMALL, 1)
    problems = sorted(violation.problem for violation in audit.removed.violations)
    assert problems[0].startswith("its keeper holds 0.")
    assert problems[1:] == ["its keeper is in another language", "its keeper is in another script"]


GUARDED = run_config("/r", source_of("/p/*.jsonl"))


def test_a_shorter_keeper_is_refused_and_another_found(tmp_path):
    """c is like a and b; a ranks first and is shorter, b is not."""
    base = words("x", 300)
    texts = {
        "a": " ".join(base[:270]),
        "b": " ".join([*base, *words("b", 3)]),
        "c": " ".join([*base[:290], "last"]),
    }
    rows = finish(tmp_path, texts, dedup={"keep": ["first"]})
    assert rows["b"]["guard"] == rows["c"]["guard"] == "shorter"
    assert (rows["b"]["outcome"], rows["c"]["outcome"]) == ("kept", "near_duplicate")
    assert rows["c"]["keeper"] == rows["b"]["doc"]
    assert rows["c"]["guard_keeper"] == rows["a"]["doc"]
    finished = load_run(str(tmp_path / "run"))
    assert "dedup.guard found another keeper for 1 documents than the best-ranked" in _as_text(finished).decode()
    code, told = winnow("why", "c", str(tmp_path / "run"))
    assert code == 0 and "guard      not removed for a  (number 0): it is shorter (dedup.guard)" in told


@pytest.mark.parametrize("verify", ["exact", "signature"])
def test_both_ways_to_verify_ask(tmp_path, verify):
    rows = finish(tmp_path, documents(), dedup={"verify": verify})
    assert sorted(row["guard"] for row in rows.values() if row["guard"]) == ["containment", "language", "script"]


def test_estimate_reads_no_texts_and_says_so(tmp_path):
    rows = finish(tmp_path, documents(), dedup={"verify": "estimate"})
    assert {row["guard"] for row in rows.values()} == {None}
    assert (
        "WARNING: dedup.guard: not applied, because verify: estimate"
        in _as_text(load_run(str(tmp_path / "run"))).decode()
    )


def test_templates_stay_apart_if_asked(tmp_path):
    texts = {
        f"page-{n}": " ".join([*words("head", 150), f"city{n}", f"is{n}", f"known{n}", *words("tail", 150)])
        for n in range(8)
    }
    removed = finish(tmp_path, texts)
    assert sum(row["outcome"] == "near_duplicate" for row in removed.values()) == 7
    kept = finish(tmp_path, texts, {"templates": "keep"}, "kept")
    assert [row["outcome"] for row in kept.values()] == ["kept"] * 8
    assert [row["guard"] for row in kept.values()] == [None] + ["template"] * 7


@pytest.mark.parametrize("compute", [{"unit_mb": 1, "partition_mb": 1}, {"workers": 2}])
def test_the_same_bytes_in_other_units(folder, tmp_path, compute):
    finish(tmp_path, documents(), compute=compute)
    assert list(shards_of(tmp_path / "run").values()) == list(shards_of(folder / "run").values())
    assert ledger(tmp_path / "run") == ledger(folder / "run")


def night(tmp_path, number: int, texts: dict[str, str], **dedup) -> dict[str, dict]:
    file = write(tmp_path / f"night-{number}.jsonl", texts)
    sections = {"dedup": {"threshold": 0.7} | dedup}
    run(parse_config(night_config(tmp_path / f"run-{number}", [file], tmp_path / "index", **sections)))
    return ledger(tmp_path / f"run-{number}")


def halves() -> tuple[dict[str, str], dict[str, str]]:
    texts = documents()
    return tuple({name: text for name, text in texts.items() if name.endswith(end)} for end in ("-1", "-2"))


@pytest.mark.slow
def test_keepers_of_earlier_nights_are_asked_too(tmp_path):
    first, second = halves()
    night(tmp_path, 0, first)
    rows = night(tmp_path, 1, second)
    once = {name: row for name, row in finish(tmp_path, documents(), dedup={"keep": ["first"]}).items() if name in rows}
    for name, row in rows.items():
        assert [row[c] for c in ("outcome", "guard", "containment", "lost_ngrams", "similarity")] == [
            once[name][c] for c in ("outcome", "guard", "containment", "lost_ngrams", "similarity")
        ]
    assert rows["held-2"]["keeper"] >= 1 << 63 and rows["little-2"]["guard_keeper"] >= 1 << 63
    balance = check_similarities(load_run(str(tmp_path / "run-1")))
    assert balance.expected == balance.found == 2
    code, told = winnow("why", "little-2", str(tmp_path / "run-1"))
    assert code == 0 and "guard      not removed for little-1" in told


def test_an_index_that_lacks_what_the_guard_asks_is_told_and_counted(tmp_path):
    first, second = halves()
    night(tmp_path, 0, first, guard="off")
    rows = night(tmp_path, 1, second)
    assert {row["outcome"] for row in rows.values()} == {"near_duplicate", "exact_duplicate"}  # as similarity says
    assert rows["held-2"]["containment"] is None and rows["same-2"]["containment"] == 1.0
    finished = load_run(str(tmp_path / "run-1"))
    assert losses_of(finished)["not_checked"] == 4
    assert "WARNING: dedup.guard could not look at 4 removals: the index does not hold" in _as_text(finished).decode()
    assert check_similarities(finished).found == check_similarities(finished).expected
