"""``winnow key``: a new key, the id of the one that is set, and what other tools need to read what it encrypts."""

from typing import Annotated, Literal

import typer


def key(
    new: Annotated[bool, typer.Option("--new", help="Print a new key: export WINNOW_KEY=$(winnow key --new)")] = False,
    source: Annotated[str, typer.Option("--key", help="env:NAME, the variable with the key.")] = "env:WINNOW_KEY",
    tool: Annotated[
        Literal["age", "parquet"] | None,
        typer.Option(
            "--for",
            help="Print a secret that follows from the key: the identity by which `age` reads `.age` files, or the "
            "key in base64 that unwraps those of Parquet files.",
        ),
    ] = None,
) -> None:
    """Print the id of the key: what manifests, `storage.encryption.key_id` and messages call it by."""
    from .exit_codes import true_exit_codes

    with true_exit_codes():
        from winnow.storage.keys import find_key, new_key

        if new:
            print(new_key())
            return
        from pydantic import ValidationError

        from winnow.errors import ConfigError
        from winnow.storage.config import EncryptionConfig

        try:
            settings = EncryptionConfig(key=source)
        except ValidationError:
            raise ConfigError(
                "--key: expected env:NAME, a variable of the environment, and not the key itself"
            ) from None
        found = find_key(settings)
        if tool == "age":
            from winnow.storage.age import identity_of

            print(identity_of(found))
        elif tool == "parquet":
            import base64

            from winnow.storage.parquet_keys import PURPOSE

            print(base64.b64encode(found.derived(PURPOSE)).decode())
        else:
            print(found.id)


if __name__ == "__main__":
    typer.run(key)
