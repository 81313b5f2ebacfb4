"""Operators that come with Winnow: written as anybody's are, reached by name alone. One line each."""

BUILT_IN = {
    "classifier": "winnow.operators.built_in.classifier:Classifier",
    "fasttext": "winnow.operators.built_in.fasttext:FastText",
    "field": "winnow.operators.built_in.field:Field",
    "perplexity": "winnow.operators.built_in.perplexity:Perplexity",
    "pii": "winnow.operators.built_in.pii:PersonalData",
}
"""Name of the operator -> ``module:object``. What its results depend on is the ``version`` of its decorator, which
``tests/stages/test_digests.py`` holds to its sources."""
