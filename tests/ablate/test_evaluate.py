"""Bits a byte and choices, against sums by hand, token by token."""

import math

import pyarrow as pa
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `ablate`)")

from winnow.ablate.evaluate import bits_per_byte, choice_scores
from winnow.ablate.model import Gpt
from winnow.ablate.sizes import Size
from winnow.ablate.tables import CHOICES, DOCUMENTS

END = 1


@pytest.fixture(scope="module")
def model():
    return Gpt(Size(2, 32, 2, 1), 40, seed=2).eval()


def nats_of(model, row, first):
    """Of the tokens of a row from place ``first`` on, each after all before it."""
    with torch.no_grad():
        logits = model(torch.tensor([row]))[0].log_softmax(-1)
    return [-float(logits[at - 1, row[at]]) for at in range(first, len(row))]


def test_bits_a_byte_are_of_every_token_of_text_once(model):
    texts = {"a": [[5, 6, 7, 8, 9], [10, 11]], "b": [[12, 13, 14]]}
    sizes = {"a": [11, 4], "b": [9]}
    rows = [(name, ids, size) for name in texts for ids, size in zip(texts[name], sizes[name], strict=True)]
    table = pa.table([pa.array(column) for column in zip(*rows, strict=True)], DOCUMENTS.names).cast(DOCUMENTS)
    found = bits_per_byte(model, table, 4, END)
    # the stream 1 5 6 7 8 9 1 10 11 1 in rows of four targets: each row begins with the last token of the one before
    rows_of_a = [[END, 5, 6, 7, 8], [8, 9, END, 10, 11], [11, END, END, END, END]]
    nats = sum(
        nat for row in rows_of_a for nat, target in zip(nats_of(model, row, 1), row[1:], strict=True) if target != END
    )
    assert found["a"] == pytest.approx(nats / math.log(2) / 15, rel=1e-5)
    assert found["b"] == pytest.approx(sum(nats_of(model, [END, 12, 13, 14], 1)) / math.log(2) / 9, rel=1e-5)


def test_the_likeliest_choice_is_the_one_with_fewest_bits_a_byte(model):
    items = [
        [([END, 5, 6], [7, 8], 4, True), ([END, 5, 6], [9], 9, False)],
        [([END, 9], [10], 2, False), ([END, 9], [11, 12, 13], 8, True), ([END, 9], [14], 3, False)],
    ]
    rows = [("s", number, *choice) for number, choices in enumerate(items) for choice in choices]
    table = pa.table([pa.array(column) for column in zip(*rows, strict=True)], CHOICES.names).cast(CHOICES)
    right, bits, size = [], 0.0, 0
    for choices in items:
        nats = [sum(nats_of(model, question + answer, len(question))) for question, answer, _, _ in choices]
        a_byte = [total / choice[2] for total, choice in zip(nats, choices, strict=True)]
        best = a_byte.index(min(a_byte))
        right.append(choices[best][3])
        at = next(number for number, choice in enumerate(choices) if choice[3])
        bits, size = bits + nats[at] / math.log(2), size + choices[at][2]
    correct, of_answer = choice_scores(model, table, 16)["s"]
    assert correct == sum(right) / 2 and of_answer == pytest.approx(bits / size, rel=1e-5)


def test_of_a_long_question_the_end_is_read(model):
    question, answer = [END, *range(2, 30)], [31, 32]
    row = ("s", 0, question, answer, 5, True)
    table = pa.table([pa.array([value]) for value in row], CHOICES.names).cast(CHOICES)
    _, found = choice_scores(model, table, 8)["s"]
    assert found == pytest.approx(sum(nats_of(model, question[-7:] + answer, 7)) / math.log(2) / 5, rel=1e-5)
