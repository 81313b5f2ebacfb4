"""Entry points: what people and schedulers start; installed as ``winnow.jobs``.

In a checkout they run without installation, as ``python -m jobs.run``: the library is found in ``pipeline/`` beside
this folder, before any other that may be installed.
"""

import os
import sys
from pathlib import Path

_SOURCES = Path(__file__).resolve().parent.parent / "pipeline"

if __name__ == "jobs" and (_SOURCES / "winnow").is_dir() and str(_SOURCES) not in sys.path:
    sys.path.insert(0, str(_SOURCES))
    # for the processes that this one starts: workers of a Ray on this machine, and children that try documents
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_SOURCES), os.environ.get("PYTHONPATH")]))
