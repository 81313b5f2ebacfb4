"""``winnow augment``: a language model makes texts of a run's documents, which a later run takes as a source."""

from typing import TYPE_CHECKING, Annotated

import typer

from .paths import settled

if TYPE_CHECKING:
    from winnow.augment.config import AugmentConfig
    from winnow.finished.augment.augment import Augmented


def augment(
    config: Annotated[str, typer.Argument(metavar="FILE", callback=settled, help="What is made of what, as YAML.")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="SETTING=VALUE", help="Another setting. May be repeated.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be asked, and about what it would cost; ask nothing.")
    ] = False,
) -> None:
    """Rephrase, question or translate kept documents by a model behind an OpenAI-compatible endpoint (docs/augment.md).

    Answers are kept by what was asked: after an interruption the same command goes on and asks nothing twice. Exit code
    75: the endpoint is gone for now. Exit code 2: too many answers are of no use.
    """
    from winnow.engine.stopping import Stop
    from winnow.report.printable import printable

    from .exit_codes import OK, leave, log_to_stderr, true_exit_codes

    log_to_stderr()
    stop = Stop()
    with true_exit_codes(), stop.handle_signals():
        from winnow.config.augment_file import load_augment_config
        from winnow.finished.augment.augment import augment

        settings = load_augment_config(config, overrides)
        done = augment(settings, dry_run=dry_run, stop=stop)
        for line in _reckoned(settings, done) if dry_run else _lines(settings, done):
            print(printable(line, lines=False))
    leave(OK)


BYTES_A_TOKEN = 4.0


def _reckoned(config: "AugmentConfig", done: "Augmented") -> list[str]:
    budget = config.budget
    prompts = round(done.prompt_bytes / BYTES_A_TOKEN)
    told = f"about {prompts:,} tokens of prompts, and as many of answers where these are as long"
    cost = (
        f", about {budget.cost(prompts, prompts):,.2f} by your prices"
        if budget.prompt_price or budget.answer_price
        else ""
    )
    twice = [entry.label for entry in config.operators if len(entry.prompts or entry.asked.templates) > 1]
    more = f"; {', '.join(twice)} will ask again about the answers" if twice else ""
    return [*_taken(done), f"{done.asked:,} of {done.tasks:,} requests are not answered yet: {told}{cost}{more}"]


def _taken(done: "Augmented") -> list[str]:
    taken = done.taken
    by_source = ", ".join(f"{name} {number:,}" for name, number in taken.by_source.items())
    lines = [f"{taken.documents:,} documents ({by_source or 'none'}), {taken.passages:,} passages"]
    if taken.passed_over:
        lines.append(
            f"WARNING: {taken.passed_over:,} passages at the end of {taken.shortened:,} documents are passed over "
            "(max_passages)"
        )
    return lines


def _lines(config: "AugmentConfig", done: "Augmented") -> list[str]:
    from winnow.augment.endpoint import UNANSWERED
    from winnow.augment.judge import UNUSED

    made = ", ".join(f"{name} {number:,}" for name, number in done.made.items())
    lines = [*_taken(done), f"{sum(done.made.values()):,} texts of {done.tasks:,} tasks ({made})"]
    meaning = {reason: f"the answer {why}" for reason, why in UNUSED.items()} | UNANSWERED
    for reason, number in done.unused.items():
        warning = "WARNING: " if reason in UNANSWERED else ""
        lines.append(f"{warning}{number:,} left out as {reason}: {meaning[reason]}")
    if done.without_preamble:
        lines.append(f"{done.without_preamble:,} texts are without a first line that spoke to the user")
    spent = done.spent
    cost = f", {done.cost:,.2f} by your prices" if config.budget.prompt_price or config.budget.answer_price else ""
    lines.append(
        f"asked now: {done.asked:,}; all attempts: {spent.requests:,} requests, {spent.prompt_tokens:,} tokens of "
        f"prompts, {spent.answer_tokens:,} of answers{cost}"
    )
    lines += [f"tries that failed: {number:,} by {what}" for what, number in sorted(done.failed_tries.items())]
    if done.uncounted:
        lines.append(
            f"WARNING: {done.uncounted:,} answers came without token counts; for these the most that they can have "
            "taken is counted"
        )
    lines.append("as a source of a run, beside the sources that it was made of:")
    lines.append(
        f"  - {{name: made, path: '{done.folder}/documents/*.parquet', id: id, augmented_from: parent, "
        "keep: [operator, model, prompt, licence]}"
    )
    return lines


if __name__ == "__main__":
    typer.run(augment)
