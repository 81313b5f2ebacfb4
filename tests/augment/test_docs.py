"""The example of docs/augment.md as it stands there, with another port; its settings, operators and reasons."""

import json
import re
from pathlib import Path

import pyarrow.parquet as pq

from tests.support.commands import winnow
from tests.support.corpora import articles
from tests.support.language_server import language_server, passage_in, upside_down
from winnow.augment.endpoint import UNANSWERED
from winnow.augment.judge import UNUSED
from winnow.augment.operators.registry import OPERATORS
from winnow.augment.template import template
from winnow.finished.augment.results import TEXTS

PAGE = (Path(__file__).parents[2] / "docs" / "augment.md").read_text()
FILES = dict(re.findall(r"^```yaml\n# (\S+\.yaml)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))


def answer(prompt: str) -> str:
    text = passage_in(prompt)
    if "Question: the question" in prompt:
        return "\n".join(f"Question: What of {word}?\nAnswer: It is {word}." for word in text.split()[:60:6])
    return upside_down(text)


def test_the_whole_example(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLM_API_KEY", "sk-of-the-docs")
    Path("raw/web").mkdir(parents=True)
    rows = [{"url": f"https://x.example/{n}", "text": text} for n, text in enumerate(articles(3, 30))]
    Path("raw/web/a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with language_server(answer) as server:
        for name, content in FILES.items():
            Path(name).write_text(content.replace("http://127.0.0.1:8000/v1", server.url))
        for line in re.findall(r"^winnow (.*?)(?: +#.*)?$", PAGE.partition("## A whole")[0], re.MULTILINE):
            local = [
                *line.split(),
                *(["--set=filter.mode=annotate", "--set=report=false"] if line.startswith("run") else []),
            ]
            code, told = winnow(*local)
            assert code == 0, told
        assert server.keys == {"Bearer sk-of-the-docs"}
    assert "synthetic: " in told
    assert {path.name for path in Path("made/web").iterdir()} == {
        "documents", "left_out", "answers", "prompts", "augment.json", "spent.json"
    }  # fmt: skip
    assert pq.read_schema(next(Path("made/web/documents").iterdir())).names == TEXTS.names


def test_what_the_page_names():
    table = PAGE.partition("## Operators")[2].partition("## Which")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) - {"use"} == {*OPERATORS}
    reasons = PAGE.partition("## Which answers are taken")[2].partition("All are counted")[0]
    assert {*UNUSED, *UNANSWERED} <= set(re.findall(r"`(\w+)`", reasons))
    for column in TEXTS.names:
        assert f"`{column}`" in PAGE
    (own,) = re.findall(r"^```\n(Write a story.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert template(own, "p", {}).lines
