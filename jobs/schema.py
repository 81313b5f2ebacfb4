"""``winnow schema``: the config's JSON Schema, for editors."""

import typer


def schema() -> None:
    """Print the JSON Schema of the config; editors check and complete YAML with it."""
    import json

    from winnow.config.config import Config
    from winnow.config.written import with_units

    print(json.dumps(with_units(Config.model_json_schema()), indent=2))


if __name__ == "__main__":
    typer.run(schema)
