"""A byte-pair vocabulary of one's own: trained by Hugging Face tokenizers, written as a rank file and tokenizer.json.

Both files give the same ids: the rank file is the definition (merge the pair whose joined bytes have the lowest rank),
and the merge list of the other is made from it.

Source: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units" (2016); byte-level: Radford et
al., "Language Models are Unsupervised Multitask Learners" (2019).
"""

import binascii
import json
from collections.abc import Iterable
from typing import Any

from winnow.tokens.patterns import PLAIN_PATTERNS
from winnow.tokens.tokenizer_json import byte_characters

END_OF_TEXT = "<|endoftext|>"
_LONGEST_WORD = 256
"""Characters. The trainer's time for one word grows with the square of its length, and a longer run without a blank is
no word (a gene, base64, a rule of dashes): it counts as several."""
SMALLEST_VOCABULARY = 256 + 1
"""Every byte and the end of text."""


def train_ranks(texts: Iterable[str], vocabulary_size: int, pattern: str) -> bytes:
    """Learn a byte-level vocabulary.

    Args:
        texts: the sample, in an order that does not matter.
        vocabulary_size: ids wanted, the end-of-text token's included; fewer where the sample has no more pairs.
        pattern: a name in ``PLAIN_PATTERNS``.

    Returns:
        A rank file: lines of ``base64(token) rank``. The same bytes for the same texts.

    Raises:
        ValueError: ``vocabulary_size`` is under 257.
    """
    from tokenizers import Tokenizer, models, trainers  # noqa: PLC0415 - for this command only

    if vocabulary_size < SMALLEST_VOCABULARY:
        raise ValueError(f"a byte-level vocabulary has at least {SMALLEST_VOCABULARY} ids, not {vocabulary_size}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _split(pattern, longest=_LONGEST_WORD)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size - 1,  # the end of text takes the last id
        initial_alphabet=sorted(byte_characters().values()),
        special_tokens=[],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    byte_of = {character: value for value, character in byte_characters().items()}
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    tokens = [bytes(byte_of[character] for character in token) for token, _ in vocabulary]
    return b"".join(binascii.b2a_base64(token, newline=False) + b" %d\n" % rank for rank, token in enumerate(tokens))


def tokenizer_json(ranks: dict[bytes, int], pattern: str, end_of_text: str = END_OF_TEXT) -> bytes:
    """A ``tokenizer.json`` of Hugging Face tokenizers that gives the ids of these ranks.

    Every way to put a token together from two others is a merge of that token's rank, as it is with a rank file.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models  # noqa: PLC0415 - for this command only

    def name(token: bytes) -> str:
        return "".join(byte_characters()[value] for value in token)

    merges = [
        (name(token[:cut]), name(token[cut:]))
        for token, _ in sorted(ranks.items(), key=lambda entry: entry[1])
        for cut in range(1, len(token))
        if token[:cut] in ranks and token[cut:] in ranks
    ]
    tokenizer = Tokenizer(models.BPE({name(token): rank for token, rank in ranks.items()}, merges))
    tokenizer.pre_tokenizer = _split(pattern)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(end_of_text, special=True, normalized=False)])
    # through JSON once more: the library writes its tables in no fixed order
    return json.dumps(_ordered(json.loads(tokenizer.to_str())), ensure_ascii=False, indent=1).encode() + b"\n"


def _ordered(parsed: dict[str, Any]) -> dict[str, Any]:
    model = parsed["model"]
    vocabulary = dict(sorted(model["vocab"].items(), key=lambda entry: entry[1]))
    return parsed | {"model": model | {"vocab": vocabulary}}


def _split(pattern: str, longest: int | None = None) -> Any:
    """Split by a pattern; what is longer than ``longest`` characters after that is cut."""
    from tokenizers import Regex, pre_tokenizers  # noqa: PLC0415

    cut = [pre_tokenizers.Split(Regex(rf"[\s\S]{{1,{longest}}}"), behavior="isolated")] if longest else []
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PLAIN_PATTERNS[pattern]), behavior="isolated"),
            *cut,
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
