"""``winnow init``: a commented starter config, or one for a common task."""

import sys
from typing import Annotated

import typer

from .paths import settled


def init(
    path: Annotated[
        str, typer.Argument(metavar="CONFIG", callback=settled, help="File to write; `-` prints it.")
    ] = "winnow.yaml",
    recipe: Annotated[
        str | None,
        typer.Option(help="A config for a task: code, common-crawl, dclm, fineweb, instructions or wikipedia."),
    ] = None,
    minimal: Annotated[bool, typer.Option("--minimal", help="Ten lines that run, instead of every setting.")] = False,
) -> None:
    """Write a starter config: every setting with its default and meaning, ten lines (--minimal), or one for a task."""
    from pathlib import Path

    from .exit_codes import REFUSED, true_exit_codes

    with true_exit_codes():
        from winnow.config.recipe_files import recipe_files
        from winnow.config.starter import minimal_config, starter_config
        from winnow.errors import ConfigError

        if recipe and minimal:
            raise ConfigError("--minimal and --recipe write different configs; give one of them")
        write = minimal_config if minimal else starter_config
        first, *beside = (
            recipe_files(recipe).items() if recipe else [("", write("winnow.yaml" if path == "-" else path))]
        )
        if path == "-":
            print(first[1], end="")
            return
        wanted = {Path(path): first[1]} | {Path(path).parent / name: content for name, content in beside}
        if there := [file for file in wanted if file.exists()]:
            typer.echo(f"winnow: {there[0]} exists already; name another file", err=True)
            sys.exit(REFUSED)
        for file, content in wanted.items():
            with file.open("x", encoding="utf-8") as opened:
                opened.write(content)
        written = " and ".join(map(str, wanted))
        print(f"wrote {written}: set `run` and `sources`, then `winnow plan {path}` and `winnow run {path}`")


if __name__ == "__main__":
    typer.run(init)
