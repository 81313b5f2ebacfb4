"""``eu-training-content.md``: the public summary of training content that Article 53 (1) (d) of Regulation (EU)
2024/1689 asks of providers of general-purpose AI models, as far as a run can fill it in.

Source of the fields, in the template's order and said here in short: the template of the European Commission of 24 July
2025, C(2025) 8311; its optional comments are left out. It is a draft for the provider, who answers for it; nothing here
is legal advice.
"""

from collections.abc import Iterable

from winnow.config.config import Config
from winnow.flow.records import RunRecords
from winnow.report.markdown import markdown_text
from winnow.report.reports import Report
from winnow.report.sheet.facts import OPEN, Facts
from winnow.sources.source import SourceConfig

SIZES = ((10**9, "less than 1 billion tokens"), (10**13, "1 billion to 10 trillion tokens"))
"""Ranges of the template for text; what is larger is the last one."""
LARGEST = "more than 10 trillion tokens"
_ARCHIVES = ("warc", "wet", "wat", "html")
_CRAWLS = ("commoncrawl", "cc://")


def size_range(tokens: int) -> str:
    """The template's range for an amount of text."""
    return next((name for most, name in SIZES if tokens < most), LARGEST)


def kind_of(source: SourceConfig, places: Iterable[str]) -> str:
    """Which list of the template a source seems to belong to: `public`, `crawled`, or "" where nothing tells."""
    where = [place.lower() for place in places]
    if any(mark in place for place in where for mark in _CRAWLS):
        return "public"  # a data set that others crawled and publish
    if source.html or source.format in _ARCHIVES or any(f".{kind}" in place for place in where for kind in _ARCHIVES):
        return "crawled"
    return "public" if any(place.startswith(("hf://", "huggingface.co/")) for place in where) else ""


def summary_of_content(run: RunRecords) -> bytes:
    """The summary of a finished run's data, in Markdown, with open fields marked."""
    facts = Facts(run)
    kinds: dict[str, list[str]] = {"public": [], "crawled": [], "synthetic": [], "": []}
    for source in run.config.sources:
        places = facts.places(source)
        licence = f", licence {markdown_text(source.licence)}" if source.licence else ""
        tokens = facts.manifest["sources"][source.name]["tokens"]
        named = ", ".join(map(markdown_text, places[:3])) + (f" and {len(places) - 3:,} more" if places[3:] else "")
        kind = "synthetic" if source.augmented_from else kind_of(source, places)
        kinds[kind].append(f"- {markdown_text(source.name)}: {named}{licence}; {tokens:,} tokens")
    fields = [*_general(facts), *_sources(kinds), *_processing(run.config)]
    lines = [
        "# Public summary of training content (draft)",
        "",
        "For a model that is trained on this run alone; a model that saw other data needs all of it here. Fields "
        "follow the template of the European Commission. Search for OPEN: those a run cannot know.",
        "",
        *fields,
    ]
    return ("\n".join(lines).rstrip() + "\n").encode()


def _field(title: str, *known: str, is_open: bool = False) -> list[str]:
    """A field with what is known; open where nothing is."""
    left = [OPEN] if is_open or not known else []
    return [f"**{title}**", "", *known, *([""] if known and left else []), *left, ""]


def _general(facts: Facts) -> list[str]:
    languages = facts.languages_table()
    unknown = [] if languages else ["not identified by this run"]
    return [
        *_field("Version of the summary"),
        *_field("Last update"),
        "## 1. General information",
        "",
        "### 1.1 Provider identification",
        "",
        *_field("Provider name and contact details"),
        *_field("Authorised representative name and contact details, if there is one"),
        "### 1.2 Model identification",
        "",
        *_field("Versioned model names"),
        *_field("Model dependencies: a model that this one builds upon, with its summary"),
        *_field("Date of placement on the Union market"),
        "### 1.3 Modalities, overall training data size and other characteristics",
        "",
        *_field("Modality", "Text."),
        *_field(
            "Training data size",
            f"{size_range(facts.tokens)} ({facts.tokens:,} tokens of {facts.documents:,} documents).",
        ),
        *_field("Types of content (fiction, non-fiction, scientific, news, law, code, social media ...)"),
        *_field("Latest date of data acquisition, and whether training goes on with data of later dates"),
        *_field("Linguistic characteristics: languages of the kept documents", *languages, *unknown),
        *_field("Other relevant characteristics of the overall training data"),
    ]


_MODALITY = "Modality of the content: text, as far as this run goes."


def _sources(kinds: dict[str, list[str]]) -> list[str]:
    unsorted = kinds[""]
    sort = ["To be sorted into 2.1 to 2.6 by a person; nothing in the config says which:", "", *unsorted]
    return [
        "## 2. List of data sources",
        "",
        *(_field("Sources of this run that stand in no list yet", *sort, is_open=True) if unsorted else []),
        "### 2.1 Publicly available data sets",
        "",
        *_field("Were such data sets used", *(["Yes.", _MODALITY] if kinds["public"] else [])),
        *_field("List of large ones, with name and link, and the period of collection", *kinds["public"]),
        *_field("General description of others"),
        "### 2.2 Private data sets of third parties",
        "",
        "#### 2.2.1 Licensed commercially by rightsholders or their representatives",
        "",
        *_field("Was a licence agreement concluded (yes or no), and for which modality"),
        "#### 2.2.2 Obtained from other third parties",
        "",
        *_field("Were such data sets obtained (yes or no), and of which modality"),
        *_field("List of those that are publicly known, and a general description of others"),
        "### 2.3 Data crawled and scraped from online sources",
        "",
        *_field("Were crawlers used by the provider or on its behalf"),
        *_field("Sources of this run that look crawled", *kinds["crawled"], is_open=True),
        *_field("Crawler names or identifiers, their purposes, and their behaviour (robots.txt, paywalls, captchas)"),
        *_field("Period of data collection"),
        *_field("Types of content and of online sources"),
        *_field("Modality", *([_MODALITY] if kinds["crawled"] else [])),
        *_field("Most relevant domain names (top 10 % by size of what was scraped; small providers: 5 %, or 1,000)"),
        "### 2.4 User data",
        "",
        *_field("Was data of users' interactions with the model used (yes or no)"),
        *_field("Was data of users' interactions with the provider's other services or products used (yes or no)"),
        *_field("Description of these services or products, and the modality"),
        "### 2.5 Synthetic data",
        "",
        *_field(
            "Was data that AI generated created by the provider or on its behalf (yes or no), of which modality",
            *kinds["synthetic"],
            is_open=True,
        ),
        *_field("General-purpose AI models that made it, and information about other models that did"),
        "### 2.6 Other sources of data",
        "",
        *_field("Were other sources used (yes or no), and a description of them and of the data"),
    ]


def _processing(config: Config) -> list[str]:
    rules = config.filter
    rights, illegal = [], []
    if rules.opt_outs:
        kinds = ", ".join(map(markdown_text, rules.opt_outs))
        rights.append(f"Documents whose pages reserve text and data mining were left out (`filter.opt_outs`: {kinds}).")
    if rules.licences:
        rights.append("Documents were chosen by the licence that they state (`filter.licences`).")
    if rules.urls:
        illegal.append("Documents from listed addresses were left out (`filter.urls`).")
    if any("pii" in entry.use for entry in config.measure.operators):
        illegal.append("Personal data was looked for and replaced (operator `pii`).")
    return [
        "## 3. Data processing aspects",
        "",
        "### 3.1 Respect of reservations of rights from text and data mining",
        "",
        *_field("Signatory of the Code of Practice, with its commitment to respect such reservations (yes or no)"),
        *_field("Measures before and during collection, with the opt-outs that were honoured", *rights, is_open=True),
        "### 3.2 Removal of illegal content",
        "",
        *_field("General description of the measures", *illegal, is_open=True),
        "### 3.3 Other information (optional)",
        "",
        *_field("What the provider wants to add"),
    ]


REPORT = Report("eu_summary", "eu-training-content.md", summary_of_content, lambda config: config.report)
