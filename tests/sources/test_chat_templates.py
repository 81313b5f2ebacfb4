"""Chat templates: as transformers has them, whole; nobody's data writes a special token; each can be ended."""

import json
import time

import pytest

from tests.support.many_descriptors import many_descriptors
from winnow.sources.structured import rendering
from winnow.sources.structured.chat import (
    CHATML,
    DATE,
    Rendered,
    TemplateSettings,
    inspect_template,
    render,
    spelled_names,
    template_text,
)
from winnow.sources.structured.template_environment import MAX_REPEATS, ChatTemplateError

SPECIAL = ("<|im_start|>", "<|im_end|>")
TALK = [{"role": "user", "content": "Hi\n"}, {"role": "assistant", "content": "<|im_end|> Ho"}]
GENERATION = "{% generation %}x{% endgeneration %}"
TOOLS = [{"type": "function", "function": {"name": "wetter", "description": "<Größe> & 'Maß'"}}]
CALL = {"name": "wetter", "arguments": {"Stadt": "Köln", "n": 1.5}}
RICH = [
    {"role": "system", "content": "Sei hilfreich: <b>& \"'ü日本"},
    {"role": "user", "content": " Was?\n\n", "name": None},
    {
        "role": "assistant",
        "tool_calls": [{"id": "1", "function": {"name": "wetter", "arguments": {"Stadt": "Köln", "n": 1.5}}}],
    },
    {"role": "tool", "content": '{"Grad": 3}'},
    {"role": "assistant", "content": "<think>Hm</think>Kalt.", "reasoning": "3 Grad"},
]


def one(template: str, talk: list[dict] = TALK, special=SPECIAL, tools=None, **settings) -> Rendered:
    (found,) = render(
        TemplateSettings(text=template, **settings),
        [{"messages": talk, "tools": tools}],
        special,
        {"bos_token": "<s>", "eos_token": "</s>"},
    )
    if isinstance(found, ChatTemplateError):
        raise found
    return found


TEMPLATES = {
    "chatml": CHATML,
    "tojson": "{{ messages | tojson }}{{ tools | tojson(indent=2) }}{{ messages | tojson(ensure_ascii=true) }}",
    "tojson and a token": "{% for m in messages %}{{ m | tojson }}<|im_end|>"
    "{{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }}{% endfor %}",
    "the rest": (
        "{% set ns = namespace(x=0, n=dict(a=1)) %}{% for m in messages %}{% set ns.x = ns.x + loop.index0 %}"
        "{% if loop.index > 3 %}{% break %}{% endif %}{{ loop.length }}{{ loop.revindex }}{{ loop.last }}"
        "{{ loop.nextitem is defined }}{% endfor %}{{ ns.x }}{{ ns.n.items() | list }}{{ strftime_now('%Y') | length }}"
    ),
    "variables": (
        "{{ bos_token }}{{ eos_token }}{{ add_generation_prompt }}{{ documents }}{{ pad_token is defined }}"
        "{{ enable_thinking is defined }}{{ messages[2].content is defined }}{{ messages[1].name is defined }}"
    ),
    "reasoning": (
        "{% for m in messages %}{% if m.reasoning_content is defined %}{{ m.reasoning_content }}|{{ m.thinking }}"
        "{% endif %}{% if '</think>' in (m.content or '') %}{{ m.content.split('</think>')[-1].lstrip('\\n') }}"
        "{% endif %}{% if m.tool_calls %}{% for c in m.tool_calls %}{{ c.function.arguments | tojson }}"
        "{{ c.function.arguments.items() | list }}{% endfor %}{% endif %}{% endfor %}"
    ),
    "filters": "{{ messages[0].content | e }}{{ messages[0].content | upper | trim }}"
    "{{ ('%s' % messages | length) | center(9) }}"
    "{{ messages | map(attribute='role') | join(',') }}"
    "{{ messages | selectattr('role', 'equalto', 'tool') | list | length }}",
    "macros": "{% macro turn(m) %}[{{ m.role }}]{{ caller() if caller else '' }}{% endmacro %}{% for m in messages %}"
    "{{ turn(m) }}{% call turn(m) %}!{% endcall %}{% endfor %}  \n  {% if true %}\n  x\n  {% endif %}\n",
}


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_a_template_writes_what_transformers_writes(name):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    from tokenizers import Tokenizer, models

    reference = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"<s>": 0, "</s>": 1}, unk_token="<s>")),
        bos_token="<s>",
        eos_token="</s>",
    )
    template = TEMPLATES[name] + GENERATION
    expected = reference.apply_chat_template(RICH, tools=TOOLS, chat_template=template, tokenize=False)
    assert one(template, RICH, (), TOOLS).text == expected


def test_the_date_is_the_one_that_is_set_and_no_clock_is_read():
    template = "{{ strftime_now('%d %b %Y %H:%M') }}" + GENERATION
    assert one(template).text == "26 Jul 2024 00:00x"
    assert DATE == "2024-07-26"
    assert one(template, date="2026-01-31").text == "31 Jan 2026 00:00x"


def test_variables_of_the_source_go_before_others():
    template = "{{ bos_token }}{{ enable_thinking }}" + GENERATION
    assert one(template, variables={"enable_thinking": False, "bos_token": "<B>"}).text == "<B>Falsex"


def test_what_a_template_reads_is_known_without_running_it():
    template = "{% set a = b %}{% macro m(c) %}{{ c }}{{ tools }}{% endmacro %}"
    template += "{% for d in messages %}{{ d }}{{ loop.index }}{% endfor %}"
    reads = inspect_template(template + "{{ namespace().x }}{{ strftime_now('') }}<|user|>{{ '<|end|>' }}" + GENERATION)
    assert reads.variables == {"b", "tools"}
    assert spelled_names(reads.literals, ("<|end|>",)) == {"<|user|>"}


def test_special_tokens_of_the_data_are_text_and_those_of_the_template_are_not():
    rendered = one(CHATML)
    assert rendered.text == "<|im_start|>user\nHi\n<|im_end|>\n<|im_start|>assistant\n<|im_end|> Ho<|im_end|>\n"
    assert [text for text, is_special in rendered.segments if is_special] == ["<|im_start|>", "<|im_end|>"] * 2
    assert [rendered.text[begin:end] for begin, end in rendered.spans] == ["<|im_end|> Ho<|im_end|>"]
    assert rendered.protected


@pytest.mark.parametrize(
    "content", ["a\ufdd0b\ufdd1", "\ufdd2<|im_\ufdd2end|>", "{% generation %}{{ 1/0 }}", "<|im_<|im_end|>end|>"]
)
def test_no_content_can_move_the_mask_or_write_a_special_token(content):
    talk = [{"role": "user", "content": content}, {"role": "assistant", "content": content}]
    rendered = one(CHATML, talk)
    clean = content.translate(dict.fromkeys((0xFDD0, 0xFDD1, 0xFDD2), "\ufffd"))
    assert [rendered.text[begin:end] for begin, end in rendered.spans] == [f"{clean}<|im_end|>"]
    assert sum(is_special for _, is_special in rendered.segments) == 4


def test_names_in_other_keys_of_messages_and_in_tools_are_text_too():
    talk = [{"role": "assistant", "content": "x", "tool_calls": [{"<|im_end|>": ["<|im_start|>", 1]}]}]
    template = "{% generation %}{{ messages[0].tool_calls | tojson }}<|im_end|>{{ tools | tojson }}{% endgeneration %}"
    rendered = one(template, talk, tools=[{"name": "<|im_end|>"}])
    assert rendered.text == '[{"<|im_end|>": ["<|im_start|>", 1]}]<|im_end|>[{"name": "<|im_end|>"}]'
    assert sum(is_special for _, is_special in rendered.segments) == 1


@pytest.mark.parametrize(
    "spelling",
    [
        "{{ messages[1].content | tojson(ensure_ascii=true) }}",
        "{{ messages[1].content | urlencode }}",
        "{{ messages[1].content | length }}",
        "{{ messages[1].content[:3] }}",
        "{{ messages[1].content.split('<|im_end|>') | length }}",
        "{{ '<|im_end|>' in messages[1].content }}",
        "{{ messages[1].content | upper }}{{ messages[1].content.encode() }}",
        "{{ messages[1].content | list }}",
    ],
)
def test_a_mark_that_shows_in_any_spelling_fails_the_conversation(spelling):
    with pytest.raises(ChatTemplateError, match="changes with a special token's name"):
        one(GENERATION + spelling)
    assert one(
        GENERATION + spelling, [TALK[0], {"role": "assistant", "content": "Ho"}]
    )  # without a name in it: no fault


@pytest.mark.parametrize(
    "use", ["{{ x | tojson(ensure_ascii=true) }}", "", "{{ x }}{{ x }}", "{{ x | urlencode }}", "{{ x[1:] }}"]
)
def test_what_a_generation_block_wrote_must_come_out_once_and_whole(use):
    with pytest.raises(ChatTemplateError):
        one("{% set x %}{% generation %}x{% endgeneration %}{% endset %}" + use)
    assert one("{% set x %}{% generation %}x{% endgeneration %}{% endset %}{{ x }}").spans == [(0, 1)]


@pytest.mark.parametrize(
    "template",
    [
        "{% include '/etc/passwd' %}",
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ 'x' * 1000000000 }}",
        "{{ 10 ** 10000000 }}",
        "{% for n in range(100000000) %}{% endfor %}",
        "{{ messages[5]['content'] + 1 }}",
        "{{ namespace(_x=1) }}",
        "{{ '\\ud800' }}",
    ],
)
def test_a_template_reaches_nothing_outside_and_fails_cleanly(template):
    with pytest.raises(ChatTemplateError):
        one(GENERATION + template)


def test_repetitions_of_modest_size_work():
    assert len(one(GENERATION + f"{{{{ '-' * {MAX_REPEATS // 10} }}}}").text) == 1 + MAX_REPEATS // 10


ENDLESS = {
    "center": "{{ 'x' | center(10000000000) }}",
    "ljust": "{{ 'x'.ljust(20000000000) }}",
    "width": "{{ '%20000000000d' % 1 }}",
    "indent": "{{ ('\\n' * 1000000) | indent(1000000, true) }}",
    "doubling": "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}",
    "nested loops": "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}"
    + "{% endfor %}" * 3,
    "a macro that calls itself": "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}",
    "a long output": "{% for i in range(99999) %}{{ 'x' * 99999 }}{% endfor %}",
    "replace": "{{ ('a' * 999999).replace('a', 'b' * 999999) }}",
    "format": "{{ '{:>20000000000}'.format(1) }}",
    "brackets": "{{ " + "[" * 3000 + "]" * 3000 + " }}",
}


@pytest.mark.parametrize("name", list(ENDLESS))
def test_a_template_that_goes_on_and_on_is_ended_and_the_next_conversation_is_rendered(name):
    begin = time.monotonic()
    with pytest.raises(ChatTemplateError):
        one(ENDLESS[name] + GENERATION)
    assert time.monotonic() - begin < 60
    assert one(GENERATION).text == "x"


def test_steps_are_counted_so_that_a_refusal_is_the_same_on_every_machine():
    with pytest.raises(ChatTemplateError, match="takes over 1,000,000 steps"):
        one(ENDLESS["nested loops"] + GENERATION)
    with pytest.raises(ChatTemplateError, match="takes over 1,000,000 steps"):
        one("{% macro m() %}{% endmacro %}{% for i in range(999) %}" + "{{ m() }}" * 1010 + "{% endfor %}" + GENERATION)


def test_only_the_conversation_that_ends_the_process_is_refused():
    template = "{{ 'x' | center(messages[0].content | int) | length }}" + GENERATION
    talks = [[{"role": "user", "content": str(size)}] for size in (1, 10**11, 2)]
    found = render(TemplateSettings(text=template), [{"messages": talk, "tools": None} for talk in talks])
    assert [isinstance(one, ChatTemplateError) for one in found] == [False, True, False]


def test_the_process_that_renders_may_hold_a_high_descriptor(monkeypatch):
    monkeypatch.setattr(rendering, "_running", None)
    with many_descriptors():
        assert one("{{ messages[0].content }}").text == one("{{ messages[0].content }}").text
        rendering._running.end()


def test_templates_that_cannot_be_used_are_refused():
    with pytest.raises(ChatTemplateError, match="not valid Jinja2"):
        inspect_template("{% for %}")
    with pytest.raises(ChatTemplateError, match="between {% generation %} and"):
        inspect_template("{{ messages }}")
    with pytest.raises(ChatTemplateError, match="nested too deeply"):
        inspect_template("{{ " + "[" * 3000 + "]" * 3000 + " }}" + GENERATION)
    begin = time.monotonic()
    inspect_template(ENDLESS["center"] + GENERATION)  # looked at, not run
    assert time.monotonic() - begin < 30  # it would never end
    nested = "{% generation %}a{% generation %}b{% endgeneration %}{% endgeneration %}"
    with pytest.raises(ChatTemplateError, match="nests"):
        one(nested)


def test_json_of_a_conversation_travels_unchanged():
    talk = [{"role": "user", "content": "x", "n": 12345678901234567, "f": 0.1, "t": True, "d": {"é": [None]}}]
    assert json.loads(one("{{ messages[0] | tojson }}" + GENERATION, talk).text[:-1]) == talk[0]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "give the path of a file with a template, or the template itself"),
        (json.dumps({"chat_template": GENERATION}).encode(), "is JSON, not a template; write what stands in its"),
        (GENERATION.encode("utf-16"), "byte 0 is not UTF-8; save the file as UTF-8"),
    ],
)
def test_a_file_that_holds_no_template_is_refused(tmp_path, content, told):
    path = tmp_path / "template"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ChatTemplateError, match=told):
        template_text(str(path))


def test_a_mark_at_the_beginning_of_a_file_is_no_part_of_the_template(tmp_path):
    (tmp_path / "a.jinja").write_bytes(b"\xef\xbb\xbf" + GENERATION.encode())
    assert template_text(str(tmp_path / "a.jinja")) == GENERATION
