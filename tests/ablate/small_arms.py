"""Arms of hand-made shards with a vocabulary of 300 ids: what comes before them, a run, takes seconds."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from tests.ablate.plans import sentences
from tests.support.shard_sets import write_set
from winnow.ablate.ablate import Ablation, open_ablation, run_trials
from winnow.ablate.arms import Arm
from winnow.ablate.plan import Plan
from winnow.engine.stopping import Stop
from winnow.tokens.config import TokeniserConfig
from winnow.tokens.tokeniser import Tokeniser
from winnow.tokens.training import train_ranks

ROW = 32


def small_tokeniser(folder: Path, texts: list[str]) -> TokeniserConfig:
    path = folder / "vocabulary.tiktoken"
    path.write_bytes(train_ranks(texts, 300, "o200k"))
    return TokeniserConfig(encoding=str(path), pattern="o200k")


def small_arm(folder: Path, name: str, texts: list[str], tokenise: TokeniserConfig) -> Arm:
    """An arm whose rows hold the texts one after the other."""
    tokeniser = Tokeniser(tokenise)
    vocabulary = tokeniser.vocabulary
    stream: list[int] = []
    for text in texts:
        stream += [*tokeniser.encode(pa.array([text], pa.large_string())).ids.tolist(), vocabulary.end_of_text]
    rows = np.array(stream[: len(stream) // (ROW + 1) * (ROW + 1)], np.uint16).reshape(-1, ROW + 1)
    shards = write_set(folder / name, {"train": [rows]})
    digest = hashlib.sha256((shards / "manifest.json").read_bytes()).hexdigest()
    about = {"name": "small", "size": vocabulary.size, "sha256": "", "end_of_text": vocabulary.end_of_text}
    return Arm(name, str(shards), digest, ROW, len(rows), rows.size, about, tokenise, None)


def two_arms(folder: Path) -> list[Arm]:
    """Arms `ka` and `su` of 60 sentences each, of one vocabulary."""
    texts = {name: sentences(name, 1, 60) for name in ("ka", "su")}
    tokenise = small_tokeniser(folder, texts["ka"] + texts["su"])
    return [small_arm(folder, name, own, tokenise) for name, own in texts.items()]


def run_of(plan: Plan, arms: list[Arm]) -> Ablation:
    """Its trials, in the plan's own folder."""
    with open_ablation(plan, Stop()) as (store, engine):
        return run_trials(plan, arms, engine, store)
