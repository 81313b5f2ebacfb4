"""What sources of conversations, pairs, labels and synthetic texts ask of other sections of a config."""

from typing import Literal

from winnow.dedup.config import DedupConfig
from winnow.shards.config import ShardsConfig
from winnow.shards.formats.formats import FORMATS, formats_with_columns
from winnow.sources.source import SourceConfig
from winnow.sources.structured.chat import CHATML, TemplateSettings, inspect_template, template_text
from winnow.storage.address import is_url
from winnow.text.config import MeasureConfig
from winnow.text.passages.config import PassagesConfig

Sources = tuple[SourceConfig, ...]
Marks = Literal["loss_mask", "token_type_ids", "preference"]


def marks_of(sources: Sources, shards: ShardsConfig) -> Marks | None:
    """What marks of tokens become: a column, or the parts of preference pairs; None where tokens have none."""
    if shards.row == "preference":
        return "preference"
    if any(source.is_chat for source in sources):
        return "loss_mask"
    return "token_type_ids" if any(source.pair for source in sources) else None


def check_structures(
    sources: Sources,
    shards: ShardsConfig,
    dedup: DedupConfig | None,
    measure: MeasureConfig,
    passages: PassagesConfig | None,
) -> None:
    """Sources whose records are more than a text.

    Raises:
        ValueError: another section does not fit them.
    """
    marks, line_rules = marks_of(sources, shards), measure.line_rules
    marked = [source for source in sources if source.structure_fields]
    chats = [source for source in marked if source.is_chat]
    if chats and len(chats) < len(marked):
        raise ValueError(
            "sources with pairs and sources with conversations cannot share a run: a token has one mark, either "
            "token_type_ids or loss_mask; make two runs"
        )
    if marked and not chats and shards.row != "document":
        raise ValueError(f"source {marked[0].name!r} has pairs: set shards.row to document, one pair a row")
    wanted = [marks] if marks and marks != "preference" else []
    plain = [name for name in shards.formats if FORMATS.get(name).unsupported_columns(wanted)]
    if marked and plain:
        raise ValueError(
            f"source {marked[0].name!r} needs the column {marks}, which {', '.join(plain)} shards cannot "
            f"hold; set shards.formats to {formats_with_columns(wanted)}"
        )
    lines = dedup.lines if dedup else None
    for source in marked if lines else ():
        if lines and (lines.sources is None or source.name in lines.sources):
            raise ValueError(
                f"dedup.lines would remove lines from the structured source {source.name!r}; name the other "
                "sources in dedup.lines.sources"
            )
    for source in marked if line_rules else ():
        if line_rules and line_rules.takes(source.name):
            raise ValueError(
                f"measure.line_rules would remove lines from the structured source {source.name!r}; name the other "
                "sources in measure.line_rules.sources"
            )
    for source in marked if passages else ():
        if passages and source.name in (passages.sources or ()):
            raise ValueError(
                f"passages.sources names {source.name!r}, whose records are more than a text (conversations or "
                "pairs): nothing can be cut out of them; leave it out"
            )
    for source in chats:
        if template_address(source):  # looked at when a run begins
            continue
        try:
            inspect_template(template_text(source.chat_template) or CHATML)
        except (OSError, ValueError) as error:
            raise ValueError(f"source {source.name!r}: chat_template: {error}") from error


def check_preferences(sources: Sources, shards: ShardsConfig, dedup: DedupConfig | None) -> None:
    """Sources with preference pairs.

    Raises:
        ValueError: another section does not fit them.
    """
    pairs = [source.name for source in sources if source.is_preference]
    if not pairs:
        if shards.row == "preference":
            raise ValueError("shards.row: preference is for sources with chosen and rejected, and there are none")
        return
    others = [source.name for source in sources if not source.is_preference]
    if others:
        raise ValueError(
            f"source {pairs[0]!r} has preference pairs and {others[0]!r} none: their rows have other columns; make "
            "two runs"
        )
    if shards.row != "preference":
        raise ValueError(f"source {pairs[0]!r} has preference pairs: set shards.row to preference, one pair a row")
    if any(source.label is not None for source in sources):
        raise ValueError(f"source {pairs[0]!r} has preference pairs, whose rows have no label; leave label out")
    if shards.splits and (dedup is None or dedup.index is not None):
        what = "dedup: off" if dedup is None else "dedup.index"
        raise ValueError(
            f"source {pairs[0]!r} has preference pairs, and with {what} those of one prompt could stand in several "
            "splits; set shards.splits to {}, or leave it out"
        )


def check_labels(sources: Sources, shards: ShardsConfig, dedup: DedupConfig | None) -> None:
    """Sources with labels.

    Raises:
        ValueError: another section does not fit them.
    """
    if not any(source.label is not None for source in sources):
        if shards.labels is not None:
            raise ValueError("shards.labels names labels, but no source has one: set sources[].label to its field")
        return
    bare = [source.name for source in sources if source.label is None]
    named = next(source.name for source in sources if source.label is not None)
    if bare:
        raise ValueError(
            f"source {named!r} has a label and {', '.join(bare)} none: every row of the shards needs one; set "
            "label for every source, or make two runs"
        )
    if shards.row != "document":
        raise ValueError(
            f"source {named!r} has a label, which is about a whole document, and row: {shards.row} joins or "
            "cuts documents: set shards.row to document, or leave label out (keep carries the field along)"
        )
    if dedup and dedup.index is not None and shards.labels is None:
        raise ValueError(
            "runs that share an index need the same number for the same label: name all labels in shards.labels"
        )


def check_families(sources: Sources, dedup: DedupConfig | None) -> None:
    """Sources of synthetic texts.

    Raises:
        ValueError: dedup does not fit them.
    """
    for name in (source.name for source in sources if source.augmented_from is not None):
        if dedup is None:
            raise ValueError(
                f"source {name!r} has augmented_from, and dedup is off: it is dedup that keeps a synthetic text in "
                "the split of the document that it was made of; switch it on, or make two runs"
            )
        if dedup.index is not None:
            raise ValueError(
                f"source {name!r} has augmented_from, and dedup.index is set: documents of earlier runs are not "
                "looked for by id, so a synthetic text could stand in another split than its parent; give both to "
                "one run without an index"
            )


def template_of(source: SourceConfig) -> TemplateSettings:
    """The template of a source, read from its file where it names one."""
    return source.model_copy(update={"chat_template": template_text(source.chat_template)}).template


def template_address(source: SourceConfig) -> str | None:
    """Where the chat template of a source lies, if that is an address."""
    setting = source.chat_template or ""
    return setting if is_url(setting) and "{" not in setting and "\n" not in setting else None
