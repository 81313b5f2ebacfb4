"""Held-out text as the models read it: tokenised once, as two tables in the ablation's folder."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from winnow.ablate.arms import Arm
from winnow.ablate.held_out import Document, held_out
from winnow.ablate.items import ChoiceItem, choice_items
from winnow.ablate.plan import Plan
from winnow.ablate.shared import SHARED, HeldOutGrams, texts_of_rows
from winnow.engine.records import Json
from winnow.errors import ConfigError
from winnow.storage.store import Store
from winnow.tokens.tokeniser import Tokeniser

DOCUMENTS = pa.schema([("set", pa.string()), ("ids", pa.list_(pa.uint32())), ("bytes", pa.int64())])
CHOICES = pa.schema(
    [
        ("set", pa.string()),
        ("item", pa.int64()),
        ("question", pa.list_(pa.uint32())),
        ("ids", pa.list_(pa.uint32())),
        ("bytes", pa.int64()),
        ("right", pa.bool_()),
    ]
)
_NAMED = 3
log = logging.getLogger("winnow")


@dataclass
class HeldOut:
    """What models are judged on."""

    documents: Json
    """Reference to the table of documents in the ablation's folder."""
    choices: Json
    """Reference to the table of choices."""
    sets: dict[str, Json] = field(default_factory=dict)
    """By set: ``documents`` (or items), ``bytes``, ``dropped`` (an arm was trained on them), ``short`` (too few words
    to look for)."""
    unreadable: int = 0
    left_out: int = 0
    """Items without choices, or without one that is right."""


def prepare(plan: Plan, arms: list[Arm], store: Store) -> HeldOut:
    """Read the sets, look whether an arm was trained on them, tokenise them.

    Raises:
        ConfigError: a set is empty, or an arm was trained on some of it (`shared: refuse`), or on all of it.
    """
    runs = {arm.name: arm.run for arm in arms if arm.run is not None}
    documents: list[Document] = []
    items: list[ChoiceItem] = []
    unreadable = left_out = 0
    for entry in plan.evaluate.sets:
        found, bad = held_out(entry, runs)
        documents += found
        unreadable += bad
    for choices in plan.evaluate.choices:
        some, bad = choice_items(choices, plan.evaluate.items)
        items += some
        left_out += bad
    whole: list[Document | ChoiceItem] = [*documents, *items]
    tokeniser = Tokeniser(arms[0].tokenise)
    grams = HeldOutGrams([one.whole for one in whole])
    shares = {arm.name: grams.shares(texts_of_rows(arm.shards, tokeniser.vocabulary)) for arm in arms}
    met = np.any([found >= SHARED for found in shares.values()], axis=0)
    if met.any() and plan.evaluate.shared == "refuse":
        raise ConfigError(_told(shares, whole))
    sets: dict[str, Json] = {one.set: {"documents": 0, "bytes": 0, "dropped": 0, "short": 0} for one in whole}
    for one, bad, words in zip(whole, met.tolist(), grams.counts.tolist(), strict=True):
        told = sets[one.set]
        told["dropped" if bad else "documents"] += 1
        told["bytes"] += 0 if bad else len(_utf8(one.whole))
        told["short"] += not words
    judged = {name.partition("/")[0] for name, told in sets.items() if told["documents"]}
    for name, told in sets.items():
        if name.partition("/")[0] not in judged:
            raise ConfigError(f"evaluate: arms were trained on all of set {name}: nothing is left to judge by")
        if not told["documents"]:
            log.warning("evaluate: arms were trained on all %d documents of %s: left out", told["dropped"], name)
    kept = [one for one, bad in zip(whole, met, strict=True) if not bad]
    return HeldOut(
        _publish(store, "documents", _documents([one for one in kept if isinstance(one, Document)], tokeniser)),
        _publish(store, "choices", _choices([one for one in kept if isinstance(one, ChoiceItem)], tokeniser)),
        sets,
        unreadable,
        left_out,
    )


def _utf8(text: str) -> bytes:
    """The bytes of a text; half characters, which JSON can hold, become question marks."""
    return text.encode("utf-8", "replace")


def _told(shares: dict[str, NDArray[np.float64]], whole: Sequence[Document | ChoiceItem]) -> str:
    """What arms share with the sets, for people."""
    lines = []
    for arm, found in shares.items():
        for name in dict.fromkeys(one.set for one in whole):
            mine = [at for at, one in enumerate(whole) if one.set == name]
            bad = sorted((at for at in mine if found[at] >= SHARED), key=lambda at: -found[at])
            if bad:
                some = ", ".join(f"{whole[at].id} ({found[at]:.0%})" for at in bad[:_NAMED])
                lines.append(f"  arm {arm} holds {len(bad):,} of {len(mine):,} documents of set {name}, such as {some}")
    return (
        "evaluate: arms were trained on held-out text (half or more of a document's runs of 13 words stand in their "
        "shards), so figures on it would say nothing:\n" + "\n".join(lines) + "\nleave it out of the arms (sources, "
        "`decontaminate`), name other sets, or write `shared: drop` to leave those documents out for all arms"
    )


def _encode(texts: list[str], tokeniser: Tokeniser) -> list[list[int]]:
    safe = pa.array([_utf8(text).decode() for text in texts], pa.large_string())
    found = tokeniser.encode(safe)
    return [found.ids[start:end].tolist() for start, end in zip(found.offsets[:-1], found.offsets[1:], strict=True)]


def _documents(documents: list[Document], tokeniser: Tokeniser) -> pa.Table:
    texts = [document.whole for document in documents]
    columns = [
        [document.set for document in documents],
        _encode(texts, tokeniser),
        [len(_utf8(text)) for text in texts],
    ]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, DOCUMENTS, strict=True)], DOCUMENTS)


def _choices(items: list[ChoiceItem], tokeniser: Tokeniser) -> pa.Table:
    flat = [(item, choice, at == item.right) for item in items for at, choice in enumerate(item.choices)]
    end = tokeniser.vocabulary.end_of_text
    questions = [[end, *ids] for ids in _encode([item.question for item, _, _ in flat], tokeniser)]
    numbers: dict[int, int] = {id(item): number for number, item in enumerate(items)}
    columns = [
        [item.set for item, _, _ in flat],
        [numbers[id(item)] for item, _, _ in flat],
        questions,
        _encode([f" {choice}" for _, choice, _ in flat], tokeniser),
        [len(_utf8(choice)) + 1 for _, choice, _ in flat],
        [right for _, _, right in flat],
    ]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, CHOICES, strict=True)], CHOICES)


def _publish(store: Store, name: str, table: pa.Table) -> Json:
    """Write a table under a name that its content makes; returns the reference to it."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    content = sink.getvalue().to_pybytes()
    digest = xxhash.xxh3_128_hexdigest(content)
    path = f"held_out/{digest}.{name}.arrow"
    if not store.exists(path):
        store.replace(path, content)
    return {"path": path, "hash": f"xxh3_128:{digest}"}
