"""The documentation: every page has a place; every setting, command and public name stands in it; links lead on."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer

import winnow
from jobs.__main__ import app
from winnow.ablate.plan import Plan
from winnow.ablate.search_plan import SearchPlan
from winnow.config.config import Config
from winnow.section import section_of

pytest.importorskip("mkdocs", reason="mkdocs is not installed (extra `docs`)")

from docsite import hooks
from docsite.pages import commands_page, plans_page, python_page, settings_pages

ROOT = Path(__file__).parents[1]
NAV = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
PAGES = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
MADE = {"index.md", *(f"reference/{name}.md" for name in ("commands", "plans", "python", "settings"))}


def test_every_page_has_its_place_once():
    placed = re.findall(r": ([\w/-]+\.md)$", NAV, re.MULTILINE)
    assert sorted(placed) == sorted(PAGES | MADE)


def settings(section, place=()):
    for name, info in section.model_fields.items():
        inner = section_of(info.annotation)
        yield (*place, name), inner
        if inner:
            yield from settings(inner, (*place, name))


def test_every_setting_stands_there_with_its_default_and_meaning():
    pages = settings_pages()
    for place, inner in settings(Config):
        page = pages["reference/settings.md" if len(place) == 1 and not inner else f"reference/{place[0]}.md"]
        name = ".".join(place)
        if inner is None:
            (row,) = re.findall(rf"^\| `{re.escape(name)}` .*$", page, re.MULTILINE)
            cells = re.split(r"(?<!\\)\|", row)[1:-1]
            assert len(cells) == 4 and all(cell.strip() for cell in cells[:3]), row
        else:
            assert f"## `{name}`" in page or page.startswith(f"# {name}\n")


def test_every_setting_of_a_plan_stands_there():
    page = plans_page()
    for kind in (Plan, SearchPlan):
        for place, inner in settings(kind):
            if place[0] not in Config.model_fields:
                name = ".".join(place)
                assert (
                    f"## `{name}`" in page if inner else re.search(rf"^\| `{re.escape(name)}` .*\w.* \|$", page, re.M)
                )


def test_bounds_and_choices_are_those_of_the_section():
    dedup, shards = (settings_pages()[f"reference/{name}.md"] for name in ("dedup", "shards"))
    assert "| `dedup.threshold` { #dedup-threshold } | number > 0, ≤ 1 | `0.8` |" in dedup
    assert re.search(r"`dedup.verify` .* \| `exact`, `signature`, `estimate` \| `\"exact\"` \|", dedup)
    assert re.search(r"`shards.sequence_tokens` .* whole number ≥ \d", shards)


def test_every_command_and_option_stands_there():
    page, program = commands_page(), typer.main.get_command(app)
    sections = dict(re.findall(r"^## (winnow [^\n]*)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))

    def commands(group, place):
        for name, command in group.commands.items():
            if getattr(command, "commands", None):
                yield from commands(command, f"{place} {name}")
            else:
                yield f"{place} {name}", command

    found = dict(commands(program, "winnow"))
    assert set(found) == set(sections) and len(found) > 25
    for name, command in found.items():
        for parameter in command.params:
            for option in (*parameter.opts, *parameter.secondary_opts):
                assert not option.startswith("--") or option in sections[name], (name, option)
        assert command.help and " ".join(command.help.split())[:40].partition("`")[0] in sections[name]


def test_every_public_name_stands_there():
    named = re.findall(r"^::: winnow\.(\S+)$", python_page(), re.MULTILINE)
    assert {name.rpartition(".")[2] for name in named} == {*winnow.__all__, "ShardRows"}


def test_every_link_of_a_checkout_leads_to_a_file():
    for page in [ROOT / "README.md", *(ROOT / "docs" / name for name in PAGES)]:
        text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        for path in re.findall(r"\]\((?!\w+:)([^)#\s]+)", text):
            assert (page.parent / path).exists(), (page.name, path)


def test_links_are_turned_to_the_sites():
    def turned(text, uri="reading.md"):
        return hooks.on_page_markdown(text, SimpleNamespace(file=SimpleNamespace(src_uri=uri)))

    assert turned("[a](../README.md#x) [b](design.md#y)") == "[a](index.md#x) [b](design.md#y)"
    assert turned("[c](../cluster/README.md) `d`") == "c (`cluster/README.md`) `d`"
    assert turned("![p](docs/report.png) [a](docs/use.md#in)", "index.md") == "![p](report.png) [a](use.md#in)"
    assert turned("[gone](nothing.md)") == "[gone](nothing.md)"  # mkdocs tells of it
    assert turned("```\n[a](../README.md)\n```\n") == "```\n[a](../README.md)\n```\n"


@pytest.mark.slow
def test_the_site_is_built_without_a_broken_link_and_asks_nobody(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        assert not re.search(r'(?:src|rel="stylesheet" href)="(?:https?:)?//', page.read_text()), page
    settings_page = (tmp_path / "site" / "reference" / "dedup.html").read_text()
    assert 'id="dedup-threshold"' in settings_page
