"""Paths on the command line: settled as those of a config are, so that ``--out=~/x`` means what it says."""

import typer


def settled(given: str | list[str] | None) -> str | list[str] | None:
    """For ``callback=`` of every option and argument that is a path; ``-`` and names without ``~`` stay as they are.

    Raises:
        typer.BadParameter: no home folder is known, or a variable of the shell was quoted.
    """
    from winnow.errors import AddressError
    from winnow.storage.address import settled_path

    try:
        return list(map(settled_path, given)) if isinstance(given, list) else given and settled_path(given)
    except AddressError as error:
        raise typer.BadParameter(str(error)) from error
