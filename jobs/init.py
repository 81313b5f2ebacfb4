"""``winnow init``: a commented starter config."""

import sys
from typing import Annotated

import typer

from .paths import settled


def init(
    path: Annotated[
        str, typer.Argument(metavar="CONFIG", callback=settled, help="File to write; `-` prints it.")
    ] = "winnow.yaml",
) -> None:
    """Write a starter config with every setting, its default and its meaning."""
    from pathlib import Path

    from .exit_codes import REFUSED, true_exit_codes

    with true_exit_codes():
        from winnow.config.starter import starter_config

        if path == "-":
            print(starter_config("winnow.yaml"), end="")
            return
        try:
            with Path(path).open("x", encoding="utf-8") as file:
                file.write(starter_config(path))
        except FileExistsError:
            typer.echo(f"winnow: {path} exists already; name another file", err=True)
            sys.exit(REFUSED)
        print(f"wrote {path}: set `run` and `sources`, then `winnow plan {path}` and `winnow run {path}`")


if __name__ == "__main__":
    typer.run(init)
