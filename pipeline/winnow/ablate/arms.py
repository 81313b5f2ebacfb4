"""Arms, ready to be trained on: runs are done where the plan asks for them, shard sets looked at, and compared."""

import hashlib
import logging
from dataclasses import dataclass
from typing import Any

import orjson

from winnow.ablate.plan import ArmConfig, Plan
from winnow.config.config import WITHOUT_RESULT, Config
from winnow.config.load import load_config
from winnow.engine.doing import say
from winnow.engine.records import Json, content_hash
from winnow.engine.stopping import Stop
from winnow.errors import ConfigError, ShardError
from winnow.flow.records import RunRecords
from winnow.runs.run import run as run_pipeline
from winnow.runs.state import load_run
from winnow.runs.train_tokeniser import RANKS, train_vocabulary
from winnow.shards.manifest import parse_manifest
from winnow.storage.address import settled_path
from winnow.storage.open_store import open_store
from winnow.storage.store import Store
from winnow.tokens.config import TokeniserConfig

log = logging.getLogger("winnow")
PATTERN = "o200k"
"""How text is split where the ablation trains a vocabulary of its own."""
TRAIN = "train"


@dataclass(frozen=True)
class Arm:
    """One arm's shard set."""

    name: str
    shards: str
    """Folder or address."""
    hash: str
    """Of its manifest, which holds the hash of every shard."""
    row: int
    """Tokens of a row that a model sees; a stored row has one more."""
    rows: int
    """Of split train."""
    tokens: int
    """The same in tokens, without padding."""
    vocabulary: Json
    """``name``, ``size``, ``sha256``, ``end_of_text``."""
    tokenise: TokeniserConfig
    run: RunRecords | None
    """Of an arm of settings."""

    def epochs(self, tokens: float) -> float:
        """How often split train is read for so many tokens."""
        return tokens / (self.rows * self.row)


def make_arms(plan: Plan, stop: Stop, store: Store) -> list[Arm]:
    """Do the runs of the arms and look at the shard sets.

    Arms of settings share one run folder, so that text is measured once, and what no setting of an arm touches is
    done once for all.

    Raises:
        ConfigError: a setting is wrong, a folder is not what it should be, or arms have other vocabularies or row
            lengths. InputError, StageFailedError, ...: as a run.
    """
    common: list[str] = []
    if any(arm.of_base for arm in plan.arms):
        common = [f"run={store.location('run')}", f"compute={orjson.dumps(plan.compute.model_dump()).decode()}"]
        if plan.vocabulary is not None:
            common += _own_vocabulary(plan, store, common)
    arms = []
    for entry in plan.arms:
        if entry.of_base:
            say(f"arm {entry.name}: its run")
            run = run_pipeline(arm_config(plan, entry, common), stop).run
            arms.append(_arm(entry.name, run.store.location(run.shards), run))
        else:
            folder = _shards_of_run(str(entry.run)) if entry.run else settled_path(str(entry.shards))
            arms.append(_arm(entry.name, folder, None))
    check_alike(arms)
    return arms


def arm_config(plan: Plan, arm: ArmConfig, common: list[str]) -> Config:
    """The config of an arm of settings.

    Raises:
        ConfigError: a setting is wrong.
    """
    own = [f"{name}={orjson.dumps(value).decode()}" for name, value in arm.settings.items()]
    try:
        return load_config(str(plan.base), [*own, *common])
    except ConfigError as error:
        raise ConfigError(f"arm {arm.name}: {error}") from error


def _own_vocabulary(plan: Plan, store: Store, common: list[str]) -> list[str]:
    """Overrides that name the ablation's vocabulary, which is trained where it does not stand yet."""
    assert plan.vocabulary is not None
    base = load_config(str(plan.base), common)
    about = base.model_dump(mode="json", exclude={"run", *WITHOUT_RESULT, "shards", "tokenise"})
    folder = f"vocabulary/{content_hash([about, plan.vocabulary.model_dump()], 16)}"
    if not store.exists(f"{folder}/{RANKS}"):
        say(f"a vocabulary of {plan.vocabulary.size:,} ids is trained on what the base keeps")
        size, sample = plan.vocabulary.size, plan.vocabulary.sample_mb
        trained = train_vocabulary(base, size, sample, PATTERN, base.shards.seed, store.location(folder), ())
        if trained.size != size:
            log.warning("the text has no more pairs for %d ids: the vocabulary has %d", size, trained.size)
    tokenise = {"encoding": store.location(f"{folder}/{RANKS}"), "pattern": PATTERN}
    return [f"tokenise={orjson.dumps(tokenise).decode()}"]


def _shards_of_run(folder: str) -> str:
    run = load_run(folder)
    return run.store.location(run.shards)


def _arm(name: str, shards: str, run: RunRecords | None) -> Arm:
    try:
        content = open_store(shards).read("manifest.json")
        manifest = parse_manifest(content)
        shape, split = manifest["shards"], manifest["shards"]["splits"][TRAIN]
        rows, tokens = int(split["rows"]), int(split["tokens"])
        tokenise = TokeniserConfig.model_validate_json(orjson.dumps(manifest["config"]["tokenise"]))
        vocabulary: dict[str, Any] = {
            key: manifest["vocabulary"][key] for key in ("name", "size", "sha256", "end_of_text")
        }
    except FileNotFoundError as error:
        raise ConfigError(
            f"arm {name}: {shards}: no shard set is there; name the folder that has manifest.json"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ShardError(f"arm {name}: {shards}/manifest.json is damaged, or has no split train ({error})") from error
    if rows == 0:
        raise ConfigError(
            f"arm {name}: split train of {shards} is empty: its settings keep nothing; `winnow summary` of its run "
            "tells why"
        )
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return Arm(name, shards, digest, shape["row_tokens"] - 1, rows, tokens, vocabulary, tokenise, run)


def check_alike(arms: list[Arm]) -> None:
    """Refuse arms of which equal tokens would not be equal text, and those that are one and the same.

    Raises:
        ConfigError: two arms have other vocabularies or row lengths, or the same shards.
    """
    first = arms[0]
    for arm in arms:
        same = [other.name for other in arms if other.hash == arm.hash]
        if len(same) > 1:
            raise ConfigError(
                f"arms {' and '.join(same)} have the same shards, to the byte: their settings make no difference here; "
                "leave one of them out"
            )
    for arm in arms[1:]:
        if arm.vocabulary["sha256"] != first.vocabulary["sha256"]:
            raise ConfigError(
                f"arms {first.name} and {arm.name} have other vocabularies ({first.vocabulary['name']}, "
                f"{first.vocabulary['size']:,} ids; {arm.vocabulary['name']}, {arm.vocabulary['size']:,} ids): equal "
                "tokens would be other amounts of text. Give both as settings of one `base`, which are tokenised "
                "alike, or run one again with the other's `tokenise.encoding`"
            )
        if arm.row != first.row:
            raise ConfigError(
                f"arms {first.name} and {arm.name} have rows of {first.row:,} and {arm.row:,} tokens; run one again "
                "with the other's `shards.sequence_tokens`"
            )
