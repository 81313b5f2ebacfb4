"""What a run of conversations tells: tokens at both ends, what templates read and spell, what was refused."""

import io
import json

import pytest
from rich.console import Console

from jobs.plan import _print_plan
from tests.support.configs import run_config, source_of
from winnow.config.config import parse_config
from winnow.errors import ConfigError, UnreadableShareError
from winnow.report.summary import print_summary
from winnow.runs.plan import plan_run
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.sources.structured.chat import CHATML
from winnow.tokens.rank_files import parse_ranks
from winnow.tokens.training import tokenizer_json, train_ranks

TALKS = [
    [{"role": "user", "content": f"What is {n} plus {n}?"}, {"role": "assistant", "content": f"It is {2 * n}."}]
    for n in range(40)
]
CALLS = [
    [
        {"role": "user", "content": "How is the weather in that town, please?"},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "w", "arguments": {"in": town}}}]},
        {"role": "tool", "content": "It is sunny there and it will stay so."},
        {"role": "assistant", "content": "It is sunny."},
    ]
    for town in ("Rome", "Oslo", "Lima")
]
ZEPHYR = "{% for m in messages %}<|{{ m.role }}|>{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}"
ZEPHYR += "{% endfor %}"


def llama_like(folder) -> str:
    """A tokenizer.json that begins texts with <s>."""
    parsed = json.loads(tokenizer_json(parse_ranks(train_ranks(["some words " * 9], 270, "o200k"), ""), "o200k"))
    (end,) = parsed["added_tokens"]
    begin = {**end, "content": "<s>", "id": end["id"] + 1}
    parsed["added_tokens"].append(begin)
    parsed["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [begin["id"]], "tokens": ["<s>"]}},
    }
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(parsed))
    return str(path)


def config_of(folder, talks, fields=(), **sections):
    (folder / "data.jsonl").write_text("".join(json.dumps({"m": talk}) + "\n" for talk in talks))
    source = source_of(folder / "data.jsonl", "talks", messages="m", **dict(fields))
    shards = {"row": "document", "sequence_tokens": 200, "splits": {}}
    return parse_config(run_config(folder / "run", source, shards=shards, filter={"mode": "annotate"}, **sections))


def summary_of(config) -> str:
    run(config)
    text = io.StringIO()
    print_summary(load_run(config.run), Console(file=text, width=200))
    return text.getvalue()


def test_conversations_without_an_answer_are_told(tmp_path):
    """Nothing is learned of them; they stand in rows, and the summary counts them."""
    mute = [
        [{"role": "system", "content": f"Be {n}."}, {"role": "user", "content": f"Who are you, {n}?"}] for n in "abc"
    ]
    told = summary_of(config_of(tmp_path, [*TALKS[:5], *mute]))
    assert "WARNING: the assistant says nothing in 3 conversations: they stand in rows" in told
    (tmp_path / "fine").mkdir()
    assert "says nothing" not in summary_of(config_of(tmp_path / "fine", TALKS))


def test_tokens_at_both_ends_are_told_everywhere(tmp_path, capsys):
    path = llama_like(tmp_path)
    fields = {"chat_template": "{{ strftime_now('%Y') }}{{ mood }}" + ZEPHYR}
    config = config_of(tmp_path, TALKS, fields, tokenise={"encoding": path}, dedup="off")
    planned = plan_run(config)
    _print_plan(config)
    assert "tokens: each document begins with no token and ends with <|endoftext|> (" in capsys.readouterr().out
    told = summary_of(config)
    assert "each document begins with no token and ends with <|endoftext|> (" in told
    assert "its file puts <s> (" in told and "set tokenise.first_token to '<s>'" in told
    assert "its chat_template reads mood, which it does not get" in told
    assert "asks for today's date and is told 2024-07-26" in told
    assert "chat templates wrote <|assistant|> (40 conversations), <|user|> (40 conversations)" in told
    assert "tokeniser (tokenizers" in told or "tokeniser (gigatoken" in told
    assert "documents: 0 differences" in told and "on 0 documents" not in told
    facts = load_run(config.run).manifest["vocabulary"]
    assert (facts["begins"], facts["ends"][:14]) == ("", "<|endoftext|> ")
    assert facts["warnings"] == planned.warnings
    assert load_run(config.run).manifest["vocabulary"]["warnings"]


def test_a_token_that_is_set_is_no_warning(tmp_path):
    path = llama_like(tmp_path)
    for first in ("<s>", ""):
        config = config_of(tmp_path, TALKS, tokenise={"encoding": path, "first_token": first})
        assert plan_run(config).warnings == []


def test_a_template_that_writes_the_first_token_itself_is_no_warning(tmp_path):
    path = llama_like(tmp_path)
    for begin in ("{{ bos_token }}", "<s>"):
        config = config_of(tmp_path, TALKS, {"chat_template": begin + CHATML}, tokenise={"encoding": path})
        assert not any("its file puts <s>" in warning for warning in plan_run(config).warnings)
    assert "; conversations begin as their template writes it" in plan_run(config).ends


def test_conversations_that_differ_in_a_call_of_a_tool_are_no_duplicates(tmp_path):
    template = (
        "{% for m in messages %}{% generation %}{{ m.content }}{{ m.tool_calls | tojson if m.tool_calls }}"
        "{% endgeneration %}{% endfor %}"
    )
    config = config_of(tmp_path, CALLS, {"chat_template": template}, dedup={"threshold": 0.99})
    run(config)
    finished = load_run(config.run)
    assert finished.manifest["books"]["outcomes"]["kept"] == 3
    assert finished.total("tokenise", "checked") > 0


NAMED = "{% for m in messages %}{% generation %}{{ m.content | length }}{% endgeneration %}{% endfor %}"


def test_refused_conversations_are_told_and_too_many_of_them_end_the_run(tmp_path):
    talks = [*TALKS, [{"role": "user", "content": "a"}, {"role": "assistant", "content": "<|endoftext|>"}]]
    config = config_of(tmp_path, talks, {"chat_template": NAMED}, compute={"max_unreadable_share": 0.5})
    told = summary_of(config)
    assert "WARNING: 1 conversations have no ids, such as document " in told
    assert "the template changes with a special token's name that stands in the data" in told
    strict = config.model_copy(
        update={
            "run": str(tmp_path / "strict"),
            "compute": config.compute.model_copy(update={"max_unreadable_share": 0.0}),
        }
    )
    with pytest.raises(UnreadableShareError, match="1 of 41 documents"):
        run(strict)


def test_a_template_that_never_ends_is_refused_before_any_work(tmp_path):
    fields = {"chat_template": "{{ 'x' | center(100000000000) }}" + ZEPHYR}
    for command in (plan_run, run):
        with pytest.raises(ConfigError, match="source 'talks': chat_template: of two short messages, the template"):
            command(config_of(tmp_path, TALKS, fields))


def test_calls_that_the_template_does_not_write_are_told(tmp_path):
    told = summary_of(config_of(tmp_path, TALKS + CALLS, {"tools": "t"}, dedup="off"))
    assert "chat templates wrote nothing of tool_calls (3 conversations)" in told
    assert "its chat_template does not read tools, so nothing of the field 't' is in the rows" in told
