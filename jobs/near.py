"""``winnow near``: the embedded documents that are nearest to a text."""

from typing import Annotated

import typer

from .why import RunFolder


def near(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Any text; it is embedded as the documents were.")],
    run: RunFolder,
    first: Annotated[int, typer.Option(min=1, help="Documents to show.")] = 10,
    characters: Annotated[int, typer.Option(min=0, help="Characters of each text to show.")] = 200,
) -> None:
    """Show the embedded documents of largest cosine with a text, with their outcomes."""
    from winnow.report.printable import printable

    from .exit_codes import true_exit_codes

    with true_exit_codes():
        from winnow.errors import ConfigError
        from winnow.finished.explain import explain
        from winnow.finished.explore import nearest_documents
        from winnow.runs.state import load_run

        finished = load_run(run)
        if "embed" not in finished.records:
            raise ConfigError(f"{run}: the run has no embeddings; `select` is off, or none of its steps needs any")
        for doc, cosine in nearest_documents(finished, text, first):
            story = explain(finished, doc, with_keeper=False)
            print(printable(f"{cosine:.4f}  {story.outcome}  {story.source}: {story.id}", lines=False))
            if characters:
                print(f"        {printable(story.text[:characters], lines=False)}")


if __name__ == "__main__":
    typer.run(near)
