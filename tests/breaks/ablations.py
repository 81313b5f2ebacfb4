"""Ablations: the same bits, trials computed once, verdicts that say what was seen, held-out text that no arm read."""

from tests.breaks.change import Break

TRAIN, MODEL = ("tests/ablate/test_train.py",), ("tests/ablate/test_model.py",)
JUDGE, SHARED = ("tests/ablate/test_judge.py",), ("tests/ablate/test_shared.py",)
EVALUATE, SEARCH = ("tests/ablate/test_evaluate.py",), ("tests/ablate/test_search.py",)
TRIALS = ("tests/ablate/test_trials.py",)
BREAKS = (
    Break(
        "a resumed trial reads from the first sample again",
        4,
        "winnow.ablate.train",
        'data.load_state_dict(saved["data"])  #',
        'data.load_state_dict({"samples": 0})  #',
        TRAIN,
    ),
    Break(
        "a resumed trial forgets its optimiser",
        4,
        "winnow.ablate.train",
        'optimizer.load_state_dict(saved["optimizer"])',
        "pass",
        TRAIN,
    ),
    Break(
        "first weights are torch's own chance",
        2,
        "winnow.ablate.model",
        "torch.randn(weight.shape, generator=generator)",
        "torch.randn(weight.shape)",
        MODEL,
    ),
    Break(
        "positions are turned by neighbours instead of halves",
        5,
        "winnow.ablate.model",
        "first, second = x.float().chunk(2, -1)",
        "first, second = x.float()[..., ::2], x.float()[..., 1::2]",
        MODEL,
    ),
    Break(
        "divergence is not seen",
        5,
        "winnow.ablate.train",
        "if not math.isfinite(losses[-1]):",
        "if False:",
        TRAIN,
    ),
    Break(
        "the spread of one arm counts alone",
        5,
        "winnow.ablate.judge",
        "error = math.sqrt(sum(parts))",
        "error = math.sqrt(parts[0])",
        JUDGE,
    ),
    Break(
        "many comparisons count as one",
        5,
        "winnow.ablate.judge",
        "_quantile(freedom, comparisons) * error",
        "_quantile(freedom, 1) * error",
        JUDGE,
    ),
    Break(
        "runs of words end where a piece of rows begins",
        5,
        "winnow.ablate.shared",
        "_ROWS_TOKENS = 1 << 20",
        "_ROWS_TOKENS = 1",
        SHARED,
    ),
    Break(
        "the end of text counts as text",
        5,
        "winnow.ablate.evaluate",
        "np.where(inputs[1:] == end_of_text, IGNORED, inputs[1:])",
        "inputs[1:].copy()",
        EVALUATE,
    ),
    Break(
        "long answers are likelier",
        5,
        "winnow.ablate.evaluate",
        "key=lambda one: one[0] / one[1]",
        "key=lambda one: one[0]",
        EVALUATE,
    ),
    Break(
        "a mixture is predicted from itself",
        5,
        "winnow.ablate.regression",
        "others = np.arange(len(shares)) != place",
        "others = np.arange(len(shares)) >= 0",
        SEARCH,
    ),
    Break(
        "an arm may be trained on held-out text",
        5,
        "winnow.ablate.tables",
        'if met.any() and plan.evaluate.shared == "refuse":',
        "if False:",
        TRIALS,
    ),
    Break(
        "trials of another seed are taken for done",
        4,
        "winnow.ablate.ablate",
        '"seed": training.seed, "steps"',
        '"seed": 0, "steps"',
        TRIALS,
    ),
)
