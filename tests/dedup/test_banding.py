"""Bands that follow from the threshold, and what is said of those that do not."""

import logging
import os
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from datasketch import MinHashLSH
from pydantic import ValidationError

from winnow.config.load import load_config
from winnow.dedup import banding
from winnow.dedup.banding import WANTED_CHANCE, chance_to_meet, choose_bands
from winnow.dedup.bands import band_keys
from winnow.dedup.config import DedupConfig
from winnow.errors import ConfigError

CHOSEN = {0.5: (48, 3), 0.6: (45, 4), 0.7: (39, 6), 0.8: (32, 8), 0.9: (19, 13), 0.95: (12, 21)}


def test_what_stands_for_the_optimiser_is_its_choice():
    for (threshold, num_perm), chosen in banding._DEFAULTS.items():
        assert tuple(banding._optimise(threshold, num_perm)["chosen"]) == chosen


@pytest.mark.parametrize(("threshold", "chosen"), CHOSEN.items())
def test_the_table_of_the_docstring(threshold, chosen):
    assert choose_bands(threshold, 256) == chosen
    assert f"{chosen[0]} x {chosen[1]}" in banding.__doc__
    assert f"{chance_to_meet(threshold, *chosen):.2%}".replace("%", " %") in banding.__doc__


@pytest.mark.parametrize("num_perm", [64, 128, 256, 512, 4096])
@pytest.mark.parametrize("threshold", [0.4, 0.8, 0.99, 1.0])
def test_pairs_at_the_threshold_are_found(threshold, num_perm):
    bands, rows = choose_bands(threshold, num_perm)
    assert bands * rows <= num_perm
    assert chance_to_meet(threshold, bands, rows) >= WANTED_CHANCE
    if threshold < 1:  # it is datasketch's own choice for some weight
        weights = [(w, 1 - w) for w in banding._WEIGHTS_OF_NOTHING]
        own = {(lsh.b, lsh.r) for lsh in filter(None, (_lsh(threshold, min(num_perm, 512), w) for w in weights))}
        assert (bands, rows) in own


@cache
def _lsh(threshold, num_perm, weights):
    try:
        return MinHashLSH(threshold, num_perm, weights=weights)
    except ValueError:  # a single band
        return None


def test_two_thousand_pairs_meet_as_often_as_said():
    config = DedupConfig(threshold=0.7)
    draws = np.random.default_rng(3)
    left = draws.integers(0, 2**32, (2000, 256), dtype=np.uint32)
    right = np.where(draws.random(left.shape) < 0.7, left, draws.integers(0, 2**32, left.shape, dtype=np.uint32))
    met = (band_keys(left, config.minhash) == band_keys(right, config.minhash)).any(axis=1).mean()
    assert abs(met - config.found_at_threshold) < 0.01


def test_a_checked_config_holds_numbers_and_keeps_them():
    config = DedupConfig(threshold=0.9)
    assert (config.minhash.bands, config.minhash.rows) == CHOSEN[0.9]
    assert DedupConfig.model_validate_json(config.model_dump_json()) == config
    assert DedupConfig().minhash.signature_settings == {"num_perm": 256, "ngram": 5, "seed": 1}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bands": 8, "rows": 12}, r"8 bands of 12 rows find only 43\.4% of the pairs of similarity 0\.8"),
        ({"bands": 20}, "bands is given and rows is not"),
        ({"rows": 20}, "rows is given and bands is not"),
        ({"bands": 0, "rows": 1}, "minhash.bands: expected a whole number of at least 1, or auto, not 0"),
    ],
)
def test_settings_that_find_too_little_are_refused(tmp_path, settings, message):
    (tmp_path / "c.yaml").write_text(f"run: {tmp_path}/r\nsources: [{{name: a, path: x}}]\n")
    with pytest.raises(ConfigError, match=message):
        load_config(str(tmp_path / "c.yaml"), [f"dedup.minhash={settings}"])


def test_settings_that_find_less_than_they_should_are_warned_of(tmp_path, caplog):
    (tmp_path / "c.yaml").write_text(f"run: {tmp_path}/r\nsources: [{{name: a, path: x}}]\n")
    with caplog.at_level(logging.WARNING, "winnow"):
        load_config(str(tmp_path / "c.yaml"))
        assert caplog.messages == []
        load_config(str(tmp_path / "c.yaml"), ["dedup.threshold=0.7", "dedup.minhash={bands: 32, rows: 8}"])
    (message,) = caplog.messages
    assert "32 bands of 8 rows find 85.0% of the pairs of similarity 0.7 (dedup.threshold), under 99%" in message


def test_too_few_permutations_are_warned_of():
    (warning,) = DedupConfig(threshold=0.3, minhash={"num_perm": 8}).warnings
    assert "8 bands of 1 rows find 94.2%" in warning
    with pytest.raises(ValidationError, match="raise num_perm"):
        DedupConfig(threshold=0.001)


def test_the_default_config_imports_no_scipy():
    # numba asks for the package itself; what costs half a second is scipy.integrate, which datasketch brings
    code = "import sys; import winnow.config.config; assert not {'scipy.integrate', 'datasketch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": "pipeline"})
