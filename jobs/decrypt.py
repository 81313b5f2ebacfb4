"""``winnow decrypt``: encrypted shards or clean text in the clear, for programs that read files by themselves."""

from typing import Annotated

import typer

from .paths import settled


def decrypt(
    folder: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER", callback=settled, help="A shard set, a folder of clean text, or a run folder."
        ),
    ],
    out: Annotated[str, typer.Argument(metavar="OUT", callback=settled, help="Folder to write to; a new one.")],
    key: Annotated[
        str | None, typer.Option(help="env:NAME, the variable with the key, in place of what the manifest names.")
    ] = None,
) -> None:
    """Write encrypted shards or clean text in the clear, with a manifest of their own.

    Of shards this is, byte for byte, the set that the run would have written without encryption. Exit code 2: there is
    no key, or another one; nothing is written then.
    """
    from .exit_codes import true_exit_codes

    with true_exit_codes():
        from winnow.finished.decrypt import decrypt as decrypt_folder
        from winnow.report.printable import printable

        read = decrypt_folder(folder, out, key, lambda path: print(printable(path, lines=False)))
        print(printable(f"{out}: what is in {read}, in the clear; remove it when it was used", lines=False))


if __name__ == "__main__":
    typer.run(decrypt)
