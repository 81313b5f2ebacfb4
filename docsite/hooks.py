"""What mkdocs calls (mkdocs.yml): the start page is the README, reference pages are made from the code.

Links of the README and of docs/ are those of a checkout. Here they are turned to the site's, and where they lead out of
docs/, to the name of the file.
"""

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "pipeline")]

from mkdocs.structure.files import File, Files  # noqa: E402

from docsite.pages import commands_page, plans_page, python_page, settings_pages  # noqa: E402

_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]*)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made."""
    made = {
        "index.md": (ROOT / "README.md").read_text(encoding="utf-8"),
        "reference/commands.md": commands_page(),
        "reference/plans.md": plans_page(),
        "reference/python.md": python_page(),
        **settings_pages(),
    }
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_config(config: Any) -> Any:
    """Put the pages of the sections behind the page of all settings."""
    for entry in config.nav:
        if "Reference" in entry:
            pages = [path for path in settings_pages() if path != "reference/settings.md"]
            sections = [{Path(path).stem: path} for path in pages]
            at = next(n for n, page in enumerate(entry["Reference"]) if "Settings" in page)
            entry["Reference"][at] = {"Settings": ["reference/settings.md", *sections]}
    return config


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page with its links as the site has them."""
    folder = ROOT if page.file.src_uri == "index.md" else (ROOT / "docs" / page.file.src_uri).parent
    fences = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(
        part if n % 2 else _LINK.sub(lambda found: _link(found, folder), part) for n, part in enumerate(fences)
    )


def _link(found: re.Match[str], folder: Path) -> str:
    image, text, path, anchor = found.groups()
    if not path or "://" in path or path.startswith("mailto:"):
        return found.group()
    target = (folder / path).resolve()
    docs = ROOT / "docs"
    if target == ROOT / "README.md":
        return f"[{text}]({_up(folder)}index.md{anchor or ''})"
    if target.is_relative_to(docs) or folder != ROOT:
        inside = target.relative_to(docs).as_posix() if target.is_relative_to(docs) else None
        if inside is not None:
            return f"{image}[{text}]({_up(folder)}{inside}{anchor or ''})"
    if not target.exists():
        return found.group()  # mkdocs tells of it
    return f"{text} (`{target.relative_to(ROOT).as_posix()}`)"


def _up(folder: Path) -> str:
    docs = ROOT / "docs"
    return "../" * len(folder.relative_to(docs).parts) if folder.is_relative_to(docs) else ""
