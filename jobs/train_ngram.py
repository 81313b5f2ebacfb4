"""``winnow train-ngram``: a small language model of a target set, for ``use: perplexity``."""

from typing import Annotated, Literal

import typer

from .counts import count
from .paths import settled


def train_ngram(
    paths: Annotated[
        list[str],
        typer.Argument(callback=settled, metavar="PATH...", help="Files, folders or globs of the target set."),
    ],
    out: Annotated[str, typer.Option(callback=settled, help="The file to write.")] = "target.arpa",
    min_count: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Once an order: n-grams that are rarer are left out. Default: 1, 1 and 2 (order 3)."),
    ] = None,
    tokens: Annotated[
        Literal["words", "whitespace"],
        typer.Option(help="Winnow's words (folded, without punctuation), or whatever stands between whitespace."),
    ] = "words",
    sentences: Annotated[Literal["line", "document"], typer.Option(help="What is a sentence.")] = "line",
    vocabulary: Annotated[
        int, typer.Option(parser=count(1), metavar="COUNT", help="Most words; the most frequent ones.")
    ] = 500_000,
    text: Annotated[str, typer.Option(help="Field or column that holds the text.")] = "text",
) -> None:
    """Train an n-gram model (interpolated modified Kneser-Ney) on a target set and write it as an ARPA file.

    Texts are read and normalised as in a run. KenLM reads the file, too. The same input gives the same bytes. Takes
    about 100 bytes of memory a word of the target set.
    """
    from winnow.report.printable import printable

    from .exit_codes import OK, leave, log_to_stderr, true_exit_codes

    log_to_stderr()
    with true_exit_codes():
        from winnow.errors import ConfigError
        from winnow.runs.train_ngrams import train_ngrams
        from winnow.select.step_configs import ExamplesConfig
        from winnow.text.ngrams.arpa import MOST_ORDER

        least = min_count or [1, 1, 2]
        if len(least) > MOST_ORDER or sorted(least) != least:
            raise ConfigError(f"--min-count: {least}: expected 1 to {MOST_ORDER} numbers that do not fall")
        target = ExamplesConfig(path=tuple(paths), text=text)
        found = train_ngrams(target, out, tokens, least, vocabulary, by_line=sentences == "line")
        model = found.model
        numbers = ", ".join(f"{len(grams.log10):,} of {order}" for order, grams in enumerate(model.grams, 1))
        print(
            f"{model.documents:,} documents, {model.sentences:,} sentences, {model.tokens:,} tokens "
            f"({model.left_out:,} outside the vocabulary); n-grams: {numbers}; {found.bytes:,} bytes"
        )
        if found.unreadable:
            print(f"WARNING: {found.unreadable:,} records could not be read, and are left out")
        rest = "" if sentences == "line" else ", sentences: document"
        print(printable(f"- {{use: perplexity, model: {found.path}, tokens: {tokens}{rest}}}", lines=False))
    leave(OK)


if __name__ == "__main__":
    typer.run(train_ngram)
