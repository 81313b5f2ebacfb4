"""The page's section on passages that stand in the corpus before."""

from winnow.flow.passages import by_source
from winnow.flow.records import RunRecords
from winnow.looking.passages import most_repeated
from winnow.report.page.parts import Example, Part, table

SHOWN = 12
CHARACTERS = 400


def passages_section(run: RunRecords) -> Part | None:
    """What was cut of each source, and the passages with most copies."""
    config = run.config.passages
    if config is None:
        return None
    found = by_source(run)
    rows = [
        [
            name,
            f"{numbers['words']:,}",
            f"{numbers['cut_words']:,}",
            f"{numbers['cut_words'] / max(1, numbers['words']):.1%}",
            f"{numbers['cut_documents']:,}",
            f"{numbers['left_out']:,}",
        ]
        for name, numbers in found.items()
    ]
    part = Part(
        "Repeated passages",
        f"Passages of {config.words:,} words and more that stand earlier in what is kept are cut where texts leave; a "
        f"document of which fewer than {config.min_words:,} words would be left is left out.",
        f"winnow audit passages {run.config.run}",
        "More of them",
        tables=[table(["source", "words", "cut", "share", "of documents", "documents left out"], rows)],
    )
    part.examples = [
        Example(
            f"{passage.copies:,} times more, up to {passage.words:,} words ({passage.all_words:,} in all); "
            f"first in {passage.keeper_id}",
            passage.text,
        )
        for passage in ([] if run.is_encrypted else most_repeated(run, SHOWN, CHARACTERS))
    ]
    return part
