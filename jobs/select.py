"""``winnow select --explore``: what semantic dedup would remove, before it is decided."""

import sys
from typing import Annotated

import typer

from winnow.report.printable import printable

from .counts import count
from .exit_codes import OK, REFUSED, leave, log_to_stderr, true_exit_codes
from .paths import settled
from .run import Overrides


def select(
    name: Annotated[
        str, typer.Argument(metavar="CONFIG_OR_RUN", callback=settled, help="A config file, or a run folder.")
    ],
    explore: Annotated[bool, typer.Option("--explore", help="Show the curve of removal against epsilon.")] = False,
    sample: Annotated[
        int, typer.Option(parser=count(), metavar="COUNT", help="Documents to look at, drawn by hash.")
    ] = 2000,
    characters: Annotated[int, typer.Option(min=0, help="Characters of each example text.")] = 160,
    overrides: Overrides = None,
) -> None:
    """Show how many documents each `select.semantic.epsilon` would remove, with a pair that each value just takes.

    With a CONFIG, documents are first measured, filtered, deduplicated, embedded and clustered as far as that is
    missing; nothing is decided, and a later `winnow run` goes on from there. With a RUN folder, all that the run
    embedded is looked at, whatever it then removed. With `select.quality`, also how well the head tells held-out
    examples apart, and what each threshold keeps.
    """
    from winnow.engine.stopping import Stop

    log_to_stderr()
    stop = Stop()
    with true_exit_codes(), stop.handle_signals():
        if not explore:
            print("winnow: say --explore; what a run selects is decided by its config and done by `winnow run`")
            sys.exit(REFUSED)
        from winnow.engine.records import total
        from winnow.finished.explore import EPSILONS, removal_curve, texts_of_pairs
        from winnow.flow.select_accounting import curve_lines, head_lines, quality_books
        from winnow.runs.explore import embedded_documents

        run = embedded_documents(name, overrides, stop)
        if "quality" in run.records:
            books = quality_books(run.of("quality_fit")[0], run.of("quality"))
            print("\n".join([*head_lines(books), *curve_lines(books), ""]))
        config = run.config.select
        asked = {config.semantic.epsilon} if config is not None and config.semantic is not None else set()
        points = removal_curve(run, sample, tuple(sorted({*EPSILONS, *asked})))
        texts = texts_of_pairs(run, points)
        documents = total(run.of("embed"), "documents")
        model = config.encoder.model if config is not None else ""
        print(
            printable(f"{documents:,} documents embedded ({model}), {min(sample, documents):,} looked at", lines=False)
        )
        print("epsilon   removed at most")
        for point in points:
            mark = "   <- select.semantic.epsilon" if point.epsilon in asked else ""
            print(f"{point.epsilon:<8g}  {point.share:8.2%}{mark}")
            if point.pair is not None and characters:
                first, second, cosine = point.pair
                print(f"            cosine {cosine:.4f}: documents {second} and {first}")
                for doc in (second, first):
                    print(f"            | {printable(texts.get(doc, '')[:characters], lines=False)}")
    leave(OK)


if __name__ == "__main__":
    typer.run(select)
