"""What new users write: numbers with units, YAML's own words, quotes that are missing, values of another kind."""

import json
import logging

import jsonschema
import pytest
import yaml

from tests.support.commands import winnow
from tests.support.configs import unread_config
from winnow.config.config import Config, parse_config
from winnow.config.load import load_config, read_config
from winnow.config.strict_yaml import read_yaml, write_yaml
from winnow.config.written import whole_number, with_units
from winnow.errors import ConfigError

HEAD = "run: /r\nsources: [{name: a, path: x}]\n"


def read(text: str, *overrides: str):
    return read_config((HEAD + text).encode(), "c.yaml", list(overrides))


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("100M", 100_000_000), ("4k", 4000), ("4K", 4000), ("4Ki", 4096), ("1.5M", 1_500_000), ("2B", 2 * 10**9),
        ("2G", 2 * 10**9), ("1T", 10**12), ("1,000,000", 1_000_000), ("100 M", 100_000_000), (1e9, 10**9),
        (4096.0, 4096), ("2GB", None), ("12", None), ("M", None), ("1.5", None), (1.5, None), ("-4k", None),
        ("4k tokens", None),
        ("1,0", None), (True, None), (None, None), ("0.0001k", 0), (float("inf"), None),
    ],
)  # fmt: skip
def test_counts(written, number):
    assert whole_number(written) == number


@pytest.mark.parametrize(
    ("written", "number"),
    [("256MB", 256), ("256M", 256), ("2GB", 2000), ("2GiB", 2147), ("1.5GB", 1500), ("1TB", 10**6), ("512kB", None),
     ("256", None), ("1,000", 1000), ("4B", None), (256.0, 256)],
)  # fmt: skip
def test_sizes(written, number):
    assert whole_number(written, in_mb=True) == number


def test_counts_and_sizes_are_taken_wherever_whole_numbers_are(tmp_path, caplog):
    text = """
shards: {sequence_tokens: 4k, max_tokens: 100M, shard_mb: 1GB, seed: 1_000}
dedup: {lines: {max_documents: 2k}}
compute: {worker_memory_mb: 4GB, unit_mb: 128MB, workers: 1e1}
storage: {cache_mb: 2GiB}
filter: {gopher_quality: {max_words: 100k}}
select: {sample: {target_tokens: 2B}, encoder: {max_tokens: 8Ki}}
"""
    with caplog.at_level(logging.WARNING, "winnow"):
        config = read(text, "shards.epoch=1k")
    assert (config.shards.sequence_tokens, config.shards.max_tokens, config.shards.shard_mb) == (4000, 10**8, 1000)
    assert (config.shards.seed, config.shards.epoch, config.dedup.lines.max_documents) == (1000, 1000, 2000)
    assert (config.compute.worker_memory_mb, config.compute.unit_mb, config.compute.workers) == (4000, 128, 10)
    assert (config.storage.cache_mb, config.filter.gopher_quality.max_words) == (2147, 100_000)
    assert (config.select.sample.target_tokens, config.select.encoder.max_tokens) == (2 * 10**9, 8192)
    assert "shards.sequence_tokens: 4k is 4000; 4Ki is a power of two" in caplog.text
    assert parse_config(unread_config(shards={"max_tokens": "100M"})).shards.max_tokens == 10**8


def test_words_of_yaml_1_1_are_texts_where_texts_belong_and_switches_where_something_is_switched():
    config = read(
        """
filter: {languages: [no, en], c4: off, fineweb: no, gopher_quality: yes}
measure: {normalise: {lowercase: yes}, operators: [{use: "a:b", flag: no, names: [no, on, 2026-11-29, 1:30, 010]}]}
shards: {splits: {no: 0.1}, stratify: no}
dedup: {lines: on}
steps: {removals: {dry: no, names: [no]}}
""".replace("{name: a, path: x}", "{name: no, path: x, keep: [on, y]}")
    )
    assert config.filter.languages == ("no", "en")
    assert (config.filter.c4, config.filter.fineweb) == (None, None)
    assert config.filter.gopher_quality is not None
    assert config.measure.normalise.lowercase is True
    assert config.measure.operators[0].settings == {
        "flag": False,
        "names": ["no", "on", "2026-11-29", "1:30", "010"],
    }
    assert (config.shards.splits, config.shards.stratify) == ({"no": 0.1}, False)
    assert config.dedup.lines is not None
    assert config.steps == {"removals": {"dry": False, "names": ["no"]}}
    for off in ("no", "off", "No", "OFF", "false"):
        assert read(f"dedup: {off}\nselect: {off}").dedup is None
    labelled = "sources: [{name: a, path: x, label: l}]\nshards: {row: document, labels: [yes, no, on]}\nrun: /r\n"
    assert read_config(labelled.encode(), "c").shards.labels == ("yes", "no", "on")


def test_numbers_as_yaml_1_2_has_them():
    read_back = read_yaml("[1e9, 1e-5, 1E5, .5, 1.5, 0x10, 1_000, -3, +4, 0, 010, 1.2.3, .nan, null, ~, True, e5, 1e]")
    assert read_back[:10] == [1e9, 1e-5, 1e5, 0.5, 1.5, 16, 1000, -3, 4, 0]
    assert read_back[10:12] == ["010", "1.2.3"]
    assert read_back[13:] == [None, None, True, "e5", "1e"]
    assert read("select: {quality: {positive: a, negative: b, l2: 1e-3}}").select.quality.l2 == 0.001


def test_what_a_run_writes_is_read_back_by_both_kinds_of_yaml():
    values = {"a": ["no", "1e9", "010", "1:30", "2026-11-29", "~", "true", "x", 1e-5, 1, None, True, "a: b", "=", ""]}
    assert read_yaml(write_yaml(values).decode()) == values
    assert yaml.safe_load(write_yaml(values)) == values


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: *.jsonl", r"line 3, column 5: \* begins an alias in YAML: put a glob in quotes"),
        ("a: **/*.jsonl", "put a glob in quotes"),
        ("a: [x/*.jsonl, *.txt]", "put a glob in quotes"),
        ("a:\n\t- b", "YAML is indented with spaces: replace the tab"),
        ('a: "C:\\data"', "use single quotes"),
        ("a: b: c", "a value with a colon in it needs quotes; or .* or lines are not indented alike"),
        ("a:\n  -name: web\n   path: x", "a colon or dash before it needs a plain space behind"),
        ("a: @x", "begins with @, ` or % needs quotes"),
        ("a: !x y", "! begins a tag"),
        ("a: {{ x }}", "braces need quotes"),
        ("a: [1, 2", "a comma, bracket or quote is missing"),
        ("a: 'it's'", "a comma, bracket or quote is missing"),
        ("a: 'x", "a quote is not closed"),
        ("a: 1\n---\nb: 2", "a config is one document"),
    ],
)
def test_mistakes_of_yaml_say_where_and_what_to_write(text, told):
    with pytest.raises(ConfigError, match=told) as error:
        read(text)
    assert "\n" not in str(error.value)
    with pytest.raises(ConfigError, match=r"^--set 'run=\*\.x': .*put a glob in quotes"):
        read("", "run=*.x")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("run:a\nsources:b", "put a space behind each colon"),
        ("- run: a", "take out the - before them"),
        ("7", "expected settings at the top level"),
        ("run: ~\nsources: [{name: a, path: x}]", r"  run: expected text, not nothing; .*a value is needed$"),
        ("sources: [{name: a, path: x}]", r"  run: is missing; give it: Folder of this run"),
        ("run: a\nsources: {name: a, path: x}", r"expected a list, each item settings \(name, .*put a - before it"),
        (
            "run: a\nsources: [{name: 2024, path: x}]",
            "sources.0.name: expected text, not 2024; put it in quotes: '2024'",
        ),
    ],
)
def test_mistakes_at_the_top(text, told):
    with pytest.raises(ConfigError, match=told):
        read_config(text.encode(), "c.yaml")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("filter: {languages: en}", r"filter.languages: expected a list, each item text, not 'en'; write \[en\]$"),
        ("filter: {languages: [true]}", r"filter.languages.0: expected text, not true; put it in quotes: 'true'$"),
        ("filter: mode:annotate", "put a space behind the colon, mode: annotate$"),
        ("filter: [{mode: annotate}]", "take out the - before each$"),
        ("filter: {mode: of}", "expected 'filter' or 'annotate', not 'of'$"),
        ("dedup: {threshold: 80%}", "dedup.threshold: expected a number, not '80%'; write 0.8$"),
        ("dedup: {threshold: '0.8'}", "not '0.8'; take the quotes away$"),
        ("dedup: {threshold: 2}", "dedup.threshold: must be at most 1, not 2$"),
        ("dedup: {keep: longest}", r"write \[longest\]$"),
        ("shards: {shard_mb: '256'}", "expected a whole number of at least 1, not '256'; take the quotes away$"),
        ("shards: {shard_mb: 256 bananas}", "100M, 4k and 2GB"),
        ("shards: {max_tokens: 2GB}", "expected a whole number of at least 1, not '2GB'"),
        ("shards: {shard_mb: }", "leave the line out to have the default$"),
        ("shards: {max_tokens: 1,000}", "a comma ends a value in braces: write 1000000 or 1_000_000"),
        ("shards: {mixture: {a: -1}}", "shards.mixture: the number of a must be at least 0 and at most .*, not -1"),
        ("shards: {splits: {val: a}}", "shards.splits.val: expected a number, not 'a'"),
        ("shards: {formats: parquet}", r"shards.formats: expected a list, each item text, not 'parquet'; write \[parq"),
        ("shards: {seed: 99999999999999999999999}", "shards.seed: 9+ is too large"),
        ("shards: {splits: {1: 0.1}}", "shards.splits: 1 is no name of a setting; put it in quotes"),
        ("measure: {normalise: {lowercase: 'true'}}", "expected true or false, not 'true'; take the quotes away$"),
        ("measure: {normalise: {lowercase: 1}}", "expected true or false, not 1$"),
        ("steps: {a: 5}", "steps.a: expected settings by name"),
        ("minhash: {num_perm: 128}", "it belongs to another section: dedup.minhash;"),
        ("sequence_tokens: 512", "it belongs to another section: shards.sequence_tokens;"),
        ("filter: {min_words: 8}", "it belongs to another section: filter.gopher_quality.min_words;"),
        ("dedup: {minhash: {threshold: 0.8}}", "it belongs to another section: dedup.threshold;"),
        ("filter: {languages: '[en, de]'}", r"not '\[en, de\]'; take the quotes away$"),
        ("filter: {rules: words}", r"write each as an item of a list: `- {signal: ..., name: ...}`$"),
        ("filter: {rules: {words: {min: 5}}}", r"write each as an item of a list: `- {signal: ..., name: ...}`$"),
        ("filter: {rules: {signal: words}}", "put a - before it: `- signal: ...`$"),
        ("filter: {gopher_quality: {sources: web}}", r"not 'web'; write \[web\]$"),
        ("filter: {gopher_quality: {min_words: none}}", "not 'none'; write null$"),
        ("tokenise: {added_tokens: <|a|>}", r"not '<\|a\|>'; write \['<\|a\|>'\]$"),
        (
            "tokenise: {added_tokens: {'<|a|>': '9'}}",
            r"tokenise.added_tokens.<\|a\|>: .*each a whole number, not '9' there$",
        ),
        ("dedup: {threshold: '0,8'}", "not '0,8'; write 0.8$"),
        ("shards: {seed: 007}", "not '007'; write 7$"),
        ("shards: {splits: 0.1}", "write {NAME: VALUE}, or {} for none$"),
        ("shards: {mixture: [a]}", "or `off`, not such a list$"),
    ],
)
def test_what_to_write_instead(text, told):
    with pytest.raises(ConfigError, match=told):
        read(text)


@pytest.mark.parametrize("place", ["web", "1", "-1"])
def test_an_item_of_a_list_is_set_by_its_number(place):
    with pytest.raises(ConfigError, match=rf"'{place}' stands where the number .* is needed: 0 \(web\)$"):
        read_config(b"sources: [{name: web, path: a}]", "c.yaml", [f"sources.{place}.weight=2"])


def test_no_message_is_pydantics_own(tmp_path):
    """Every value of another kind, at every setting that there is."""
    from pydantic import ValidationError

    values = parse_config(unread_config(select={"sample": {"target_tokens": 5}})).model_dump(mode="json")
    values["dedup"]["minhash"] = {}

    def places(value, place=()):
        if isinstance(value, dict):
            for key, item in value.items():
                yield (*place, key)
                yield from places(item, (*place, key))
        elif isinstance(value, list):
            yield from (inner for n, item in enumerate(value) for inner in places(item, (*place, n)))

    for place in places(values):
        for wrong in (None, True, -7, 1.5, "xyz", "", [], [1, None], ["a", {}], {"x": 1}, {"x": {"y": []}}):
            # the section that it is in, and what no config is without: all others are their defaults
            changed = json.loads(json.dumps({name: values[name] for name in {"run", "sources", place[0]}}))
            at = changed
            for part in place[:-1]:
                at = at[part]
            at[place[-1]] = wrong
            try:
                parse_config(changed)
            except ConfigError as error:
                told = str(error)
                cause = error.__cause__
                kinds = {found["type"] for found in cause.errors()} if isinstance(cause, ValidationError) else set()
                for words in (
                    "Input should be",
                    "Field required",
                    "valid ",
                    "typing.",
                    "<class",
                    "Tuple",
                    "String should",
                ):
                    assert words not in told, (place, wrong, kinds, told)


def test_editors_know_units():
    schema = with_units(Config.model_json_schema())
    written = yaml.safe_load(HEAD) | {"shards": {"max_tokens": "100M", "shard_mb": "2GB", "seed": 7}}
    jsonschema.validate(written, schema)
    with pytest.raises(jsonschema.ValidationError, match="256 bananas"):
        jsonschema.validate(written | {"shards": {"shard_mb": "256 bananas"}}, schema)
    assert json.loads(winnow("schema")[1]) == schema


def test_json_with_tabs_is_read(tmp_path):
    path = tmp_path / "c.json"
    path.write_text('{\n\t"run": "r",\n\t"sources": [{"name": "a", "path": "x"}]\n}\n')
    assert load_config(str(path)).run == "r"
    path.write_text('{"run": "r", "run": "s"}')
    with pytest.raises(ConfigError, match="'run' is given twice"):
        load_config(str(path))
