"""``winnow select --explore``: what semantic dedup would remove, before it is decided."""

import sys
from typing import Annotated

import typer

from jobs.exits import REFUSED, printable, true_exit_codes
from jobs.why import RunFolder


def select(
    run: RunFolder,
    explore: Annotated[bool, typer.Option("--explore", help="Show the curve of removal against epsilon.")] = False,
    sample: Annotated[int, typer.Option(min=1, help="Documents to look at, drawn by hash.")] = 2000,
    characters: Annotated[int, typer.Option(min=0, help="Characters of each example text.")] = 160,
) -> None:
    """Show how many documents each `select.semantic.epsilon` would remove, with a pair that each value just takes.

    RUN is a finished run with select on; all that it embedded is looked at, whatever it then removed. With
    `select.quality`, also how well the head tells held-out examples apart, and what each threshold keeps.
    """
    with true_exit_codes():
        if not explore:
            print("winnow: say --explore; what a run selects is decided by its config and done by `winnow run`")
            sys.exit(REFUSED)
        from pipeline.config import ConfigError
        from pipeline.finished import load_finished
        from pipeline.select_books import curve_lines, head_lines, quality_books
        from pipeline.select_explore import removal_curve, texts_of_pairs

        finished = load_finished(run)
        if "embed" not in finished.records:
            raise ConfigError(f"{run}: the run has no embeddings; `select` is off, or none of its steps needs any")
        if "quality" in finished.records:
            books = quality_books(finished.records["quality_fit"][0], finished.records["quality"])
            print("\n".join([*head_lines(books), *curve_lines(books), ""]))
        points = removal_curve(finished, sample)
        texts = texts_of_pairs(finished, points)
        print("epsilon   removed at most")
        for point in points:
            print(f"{point.epsilon:<8g}  {point.share:8.2%}")
            if point.pair is not None and characters:
                first, second, cosine = point.pair
                print(f"            cosine {cosine:.4f}: documents {second} and {first}")
                for doc in (second, first):
                    print(f"            | {printable(texts.get(doc, '')[:characters], lines=False)}")


if __name__ == "__main__":
    typer.run(select)
