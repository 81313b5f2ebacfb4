"""One finished run that several questions are asked of."""

import pytest

from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from winnow.config.config import parse_config
from winnow.runs.run import run
from winnow.runs.state import load_run

RULES = {
    "mode": "filter",
    "gopher_quality": {"min_words": 150},
    "gopher_repetition": "off",
    "rules": [
        {"signal": "characters", "min_quantile": 0.1, "by": "source", "name": "small"},
        {"signal": "words", "max": 600, "name": "long"},
    ],
}


@pytest.fixture(scope="package")
def asked(tmp_path_factory):
    """Config and records of a run whose filter drops something by several rules, in several parts."""
    folder = tmp_path_factory.mktemp("asked")
    write_sample(folder / "data", 400)
    config = sample_config(folder / "data", folder / "run", filter=RULES, compute={"unit_mb": 1})
    run(parse_config(config))
    return config, load_run(config["run"])
