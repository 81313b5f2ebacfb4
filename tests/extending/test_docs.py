"""The examples of docs/extending.md are the files that the other tests here run."""

import re
from pathlib import Path

import pytest

from tests.extending.packages import OUTSIDE

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("section", "file"),
    [
        ("Readers", "mbox_reader.py"),
        ("PDF", "pdf_reader.py"),
        ("Shard formats", "u32.py"),
        ("Text formats", "plain_text.py"),
        ("Steps", "takedowns.py"),
        ("Reports", "licences.py"),
    ],
)
def test_an_example_is_the_file_that_is_tested(section, file):
    page = (ROOT / "docs" / "extending.md").read_text()
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert code == (OUTSIDE / file).read_text()
    assert f"tests/extending/outside/{file}" in text
    (package,) = re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert f'"{file.removesuffix(".py")}:' in package


def test_every_part_of_the_interfaces_is_told():
    from winnow.flow.step import Step
    from winnow.report.reports import Report
    from winnow.shards.documents.formats import TextFormat
    from winnow.shards.formats.shard_format import ShardFormat
    from winnow.sources.readers.reader import Reader

    page = (ROOT / "docs" / "extending.md").read_text()
    for kind in (Reader, ShardFormat, TextFormat, Step, Report):
        for name in kind.__dataclass_fields__:
            assert re.search(rf"`{name}[`(]", page), name
