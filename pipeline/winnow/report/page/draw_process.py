"""What draws charts, and the process that does nothing else: of the package it loads this file alone."""

import json
import sys
from typing import Any


def as_svg(specification: dict[str, Any]) -> str:
    """The drawing of a specification in Vega-Lite, made in this process."""
    import vl_convert  # noqa: PLC0415 - an extra

    return str(vl_convert.vegalite_to_svg(specification, vl_version="5.20"))


def main() -> None:
    """Draw what stands on standard input, a specification a line, as JSON; answer with a drawing a line."""
    for line in sys.stdin:
        print(json.dumps(as_svg(json.loads(line))), flush=True)
