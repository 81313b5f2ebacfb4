"""What data sheet and summaries tell of a run: from its manifest and counters."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from winnow.engine.records import Json
from winnow.flow.family_outcomes import synthetic_counts
from winnow.flow.records import RunRecords
from winnow.report.alarms import alarms_of
from winnow.report.languages import outcomes_by_language
from winnow.report.markdown import markdown_table, markdown_text
from winnow.schemas import KEPT
from winnow.sources.source import SourceConfig
from winnow.sources.wanted import addresses_of

OPEN = "**OPEN: a person has to answer this.**"
"""Stands for what no run can know."""
SHOWN = 100
"""Sources or languages in a table; the manifest has all."""


@dataclass(frozen=True)
class Facts:
    """A finished run, as it is told to people outside."""

    run: RunRecords

    @cached_property
    def manifest(self) -> Json:
        """Of its shard set."""
        return self.run.manifest

    @property
    def splits(self) -> dict[str, Json]:
        """By name."""
        splits: dict[str, Json] = self.manifest["shards"]["splits"]
        return splits

    @property
    def documents(self) -> int:
        """In the shards, each copy counted."""
        return sum(split["documents"] for split in self.splits.values())

    @property
    def tokens(self) -> int:
        """In the shards."""
        return sum(split["tokens"] for split in self.splits.values())

    @property
    def outcomes(self) -> dict[str, int]:
        """Records by outcome, those that there are."""
        return {name: number for name, number in self.manifest["books"]["outcomes"].items() if number}

    def places(self, source: SourceConfig) -> list[str]:
        """Paths, addresses and pinned revisions of a source."""
        hubs = self.manifest["sources"][source.name].get("hub", [])
        pinned = [f"huggingface.co/datasets/{entry['repository']} at {entry['commit']}" for entry in hubs]
        return pinned or addresses_of(source, self.run.config.storage)

    def sources_table(self) -> list[str]:
        """Sources with licence, provenance and what was kept."""
        rows = []
        for source in self.run.config.sources[:SHOWN]:
            told = self.manifest["sources"][source.name]
            places = self.places(source)
            where = ", ".join(places[:3]) + (f" and {len(places) - 3:,} more" if len(places) > 3 else "")
            numbers = (sum(told["outcomes"].values()), told["outcomes"].get(KEPT, 0), told["tokens"])
            rows.append([source.name, source.licence or "not stated", where, *numbers])
        columns = ["source", "licence", "from", "records read", "documents kept", "tokens"]
        return [*markdown_table(columns, rows, 3), *_more(len(self.run.config.sources), "sources")]

    def splits_table(self) -> list[str]:
        """Splits with what they hold."""
        rows = [[name, s["documents"], s["tokens"], s["rows"], len(s["shards"])] for name, s in self.splits.items()]
        return markdown_table(["split", "documents", "tokens", "rows", "shards"], rows)

    def outcomes_table(self) -> list[str]:
        """What became of the records."""
        return markdown_table(["outcome", "records"], [[name, number] for name, number in self.outcomes.items()])

    def languages_table(self) -> list[str]:
        """Languages of the kept documents; nothing where none were identified."""
        kept = {name: outcomes[KEPT] for name, outcomes in outcomes_by_language(self.run).items() if outcomes[KEPT]}
        rows = sorted(kept.items(), key=lambda row: (-row[1], row[0]))
        if not rows:
            return []
        whole = sum(number for _, number in rows)
        shown = [[name, number, f"{number / whole:.2%}"] for name, number in rows[:SHOWN]]
        columns = ["language (ISO 639)", "documents", "share"]
        return [*markdown_table(columns, shown), *_more(len(rows), "languages")]

    def steps(self) -> Iterator[str]:
        """What was done to the text, by section of the config."""
        config = self.run.config
        yield "Text was normalised (ftfy) and measured once; `config` in the manifest has every setting."
        rules = [name for name, rule_set in config.filter.rule_sets.items() if rule_set is not None]
        rules += [rule.name or rule.signal for rule in config.filter.rules]
        verb = "removed documents" if config.filter.mode == "filter" else "marked documents and removed none"
        if rules:
            yield f"Rules {verb}: {', '.join(map(markdown_text, rules))}."
        if config.dedup is not None:
            yield (
                f"Exact duplicates and near-duplicates (Jaccard {config.dedup.threshold:g} and more, verify: "
                f"{config.dedup.verify}) were removed, each for a document that was kept."
            )
        if config.decontaminate is not None:
            sets = ", ".join(markdown_text(entry.name) for entry in config.decontaminate.sets)
            yield f"Documents were searched for items of evaluation sets: {sets}."
        for entry in config.measure.operators:
            yield f"Operator: {markdown_text(entry.use)}."
        if told := synthetic_counts(self.run):
            yield (
                f"{told['documents']:,} of the {told['documents_of_all']:,} documents kept are synthetic, made by a "
                f"model of other documents: sources {', '.join(map(markdown_text, told['sources']))}."
            )
        if config.select is not None:
            yield "Documents were selected (`select` in the manifest's config)."
        yield f"Tokenised with {markdown_text(self.manifest['vocabulary']['name'])}, shuffled, and packed into rows."

    def alarms(self) -> list[str]:
        """Of the run, as text."""
        return [markdown_text(alarm.what) for alarm in self.run.once(alarms_of)]


def _more(number: int, what: str) -> list[str]:
    return ["", f"and {number - SHOWN:,} more {what}; the manifest has all"] if number > SHOWN else []
