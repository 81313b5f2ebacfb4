"""Sentence 7, Open: a user's own function or rule takes part like a built-in one."""

from tests.breaks.change import Break

CHAIN = ("tests/operators/test_chain.py",)
RULES = ("tests/operators/test_signal_rules.py",)
QUANTILES = ("tests/operators/test_quantiles.py",)
RUNS = "tests/operators/test_runs.py"
BREAKS = (
    Break(
        "NaN of a signal stays NaN",
        7,
        "winnow.operators.results",
        "missing = np.isnan(values)",
        "missing = np.zeros(len(values), bool)",
        CHAIN,
    ),
    Break(
        "language is that of the text before the mapper",
        7,
        "winnow.operators.chain",
        "if known is not None and (rows",
        "if False and (rows",
        CHAIN,
    ),
    Break(
        "halves of a failing batch change places",
        7,
        "winnow.operators.apply",
        "ranges += [(middle, stop), (start, middle)]",
        "ranges += [(start, middle), (middle, stop)]",
        CHAIN,
    ),
    Break(
        "what the sample says is not compared",
        7,
        "winnow.operators.apply",
        "            if before.equals(column):",
        "            if True:",
        (f"{RUNS}::test_what_breaks_the_contract_ends_the_run",),
    ),
    Break(
        "the fingerprint does not hold what files of settings say",
        7,
        "winnow.operators.files",
        "digest.update(piece)",
        'digest.update(b"")',
        (f"{RUNS}::test_a_changed_file_model_or_setting_computes_measure_again_and_what_follows_only",),
    ),
    Break(
        "the run folder does not keep the files of operators",
        7,
        "winnow.operators.find",
        "    publish(store, [file",
        "    assert ([file",
        (f"{RUNS}::test_the_run_folder_is_enough_to_resume_and_to_explain",),
    ),
    Break(
        "errors of operators are not counted",
        7,
        "winnow.operators.chain",
        'count("errors", len(failed))',
        'count("errors", 0)',
        (f"{RUNS}::test_an_exception_is_isolated_to_its_documents",),
    ),
    Break(
        "a filter refuses what it keeps",
        7,
        "winnow.stages.filter",
        "pc.equal(signals.column(name), False)",
        "pc.equal(signals.column(name), True)",
        (f"{RUNS}::test_their_signals_and_verdicts_decide",),
    ),
    Break(
        "a document at the bound fails",
        7,
        "winnow.text.rules.signal_rules",
        "value < threshold if bound.is_min",
        "value <= threshold if bound.is_min",
        RULES,
    ),
    Break(
        "ranks are computed in floating point",
        7,
        "winnow.text.rules.signal_rules",
        "math.ceil(Fraction(repr(quantile)) * values)",
        "math.ceil(quantile * values)",
        QUANTILES,
    ),
    Break(
        "keys of negative values have the wrong order",
        7,
        "winnow.stages.quantiles",
        "np.where(bits & _SIGN, ~bits, bits | _SIGN)",
        "np.where(bits & _SIGN, bits, bits | _SIGN)",
        QUANTILES,
    ),
    Break(
        "a step of another package runs although no config names it",
        7,
        "winnow.flow.flow",
        "if step.enabled(config) and (STEPS.is_built_in(step.name) or step.name in config.steps)",
        "if step.enabled(config)",
        ("tests/extending/test_steps_and_reports.py",),
    ),
    Break(
        "a report that cannot be made ends the run",
        7,
        "winnow.report.reports",
        "        except Exception as error:  # noqa: BLE001 - the shards are out; a report is no reason to fail",
        "        except KeyError as error:",
        ("tests/extending/test_steps_and_reports.py",),
    ),
    Break(
        "a finished run is read with the first ledger, not the last",
        5,
        "winnow.runs.state",
        'state["ledger"],',
        '"decide",',
        ("tests/flow/test_flow.py",),
    ),
)
