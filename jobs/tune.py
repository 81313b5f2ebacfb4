"""``winnow tune``: what other thresholds would keep, without a run."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .counts import shown_tokens
from .exit_codes import true_exit_codes
from .why import RunFolder

if TYPE_CHECKING:
    from winnow.looking.tune import Amount, Comparison, Curve, RuleEffect

SHOWN = 12
"""Groups and thresholds that a table of this width can hold."""


def tune(
    run: RunFolder,
    rule: Annotated[str | None, typer.Option(help="Show what passes at other thresholds of this rule.")] = None,
    at: Annotated[
        list[float] | None,
        typer.Option(help="A threshold to try, with --rule. May be repeated; none: around the run's."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Another setting of filter, as filter.c4=off. May be repeated: they hold together."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All of it, as one JSON object a line.")] = False,
) -> None:
    """Tell what the rules cost and what other thresholds would let pass, from the signals of a finished run.

    Documents are counted before dedup; tokens are estimated by source from those that the run counted.
    """
    with true_exit_codes():
        from winnow.errors import ConfigError
        from winnow.runs.folder import latest_run
        from winnow.runs.state import load_run

        if rule and settings:
            raise ConfigError("--rule and --set: give one of them")
        if at and not rule:
            raise ConfigError("--at: gives thresholds of a rule; name it with --rule")
        finished = load_run(latest_run(run))
        from winnow.config.load import with_overrides
        from winnow.looking.tune import compare_rules, curve_of, rule_effects

        if finished.config.filter.mode == "annotate" and not as_json:
            print("this run annotates: its rules dropped nothing but empty documents")
        if rule:
            curve = curve_of(finished, rule, at or ())
            _print_json(curve) if as_json else _show_curve(curve)
        elif settings:
            for setting in settings:
                if not setting.startswith("filter."):
                    raise ConfigError(f"--set {setting}: only settings of filter can be tried without a run")
            comparison = compare_rules(finished, with_overrides(finished.config, settings).filter)
            _print_json(comparison) if as_json else _show_comparison(comparison, settings)
        else:
            effects = rule_effects(finished)
            _print_json(*effects) if as_json else _show_effects(effects)


def _print_json(*found: Any) -> None:
    """One object a line."""
    from dataclasses import asdict

    import orjson

    for entry in found:
        print(orjson.dumps(asdict(entry)).decode())


def _show_effects(effects: "list[RuleEffect]") -> None:
    table = _table("rule", "threshold", "fail", "only this", "tokens of these")
    for effect in sorted(effects, key=lambda effect: (-effect.alone.documents, -effect.fails.documents, effect.name)):
        if effect.fails.documents:
            bound = (
                "a match"
                if effect.is_match
                else "by group"
                if effect.threshold is None
                else f"{'min' if effect.is_min else 'max'} {effect.threshold:.6g}"
            )
            table.add_row(
                effect.name,
                bound,
                f"{effect.fails.documents:,}",
                f"{effect.alone.documents:,}",
                _tokens(effect.alone),
            )
    _print(table)
    silent = sum(not effect.fails.documents for effect in effects)
    print(f"rules that fail no document: {silent}. One rule: --rule NAME; a set of settings: --set filter.c4=off")


def _show_curve(curve: "Curve") -> None:
    from winnow.report.printable import printable

    table = _table(f"{'min' if curve.is_min else 'max'} {curve.rule}", "documents pass", "of now", "tokens, about")
    now = curve.passes[curve.thresholds.index(curve.current)].documents
    for threshold, passes in zip(curve.thresholds, curve.passes, strict=True):
        share = f"{passes.documents / now:.1%}" if now else ""
        mark = " (now)" if threshold == curve.current else ""
        table.add_row(f"{threshold:.6g}{mark}", f"{passes.documents:,}", share, _tokens(passes))
    _print(table)
    for group, lines in curve.groups.items():
        moving = {name: line for name, line in lines.items() if max(line) > min(line)}
        names = sorted(moving, key=lambda name: (min(moving[name]) - max(moving[name]), name))
        if not names:
            continue
        print(f"by {group}, documents that pass at {', '.join(f'{t:.6g}' for t in curve.thresholds)}:")
        for name in names[:SHOWN]:
            print(printable(f"  {name}: {' '.join(f'{documents:,}' for documents in moving[name])}", lines=False))
        if len(names) > SHOWN:
            print(f"  and {len(names) - SHOWN} more; --json has all")


def _show_comparison(found: "Comparison", settings: list[str]) -> None:
    table = _table("", "read", "pass now", "would pass", "change")
    for group, names in found.groups.items():
        moved = sorted(names, key=lambda name: (-abs(names[name][2] - names[name][1]), name))
        for name in [name for name in moved if names[name][0]][: SHOWN if group == "language" else None]:
            read, now, then = names[name]
            table.add_row(f"{group} {name}", f"{read:,}", f"{now:,}", f"{then:,}", f"{then - now:+,}")
        table.add_section()
    read = sum(counts[0] for counts in found.groups["source"].values())
    now, then = found.now.documents, found.then.documents
    table.add_row("all documents", f"{read:,}", f"{now:,}", f"{then:,}", f"{then - now:+,}")
    _print(table)
    print(f"{found.gained:,} documents would come in, {found.lost:,} go out, before dedup")
    print(f"tokens, about: {_tokens(found.now)} now, {_tokens(found.then)} then")
    print("to paste into the config:")
    print(_recipe(settings))


def _recipe(settings: list[str]) -> str:
    """The settings as lines of YAML."""
    import yaml

    from winnow.config.load import override

    values: dict[str, Any] = {}
    for setting in settings:
        override(values, setting)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True).rstrip()


def _table(first: str, *columns: str) -> Any:
    from rich.table import Table

    table = Table(title_justify="left")
    table.add_column(first, overflow="fold")  # a name is never cut
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _print(table: Any) -> None:
    from winnow.report.tables import console_for_tables

    console_for_tables().print(table)


def _tokens(amount: "Amount") -> str:
    return shown_tokens(amount.tokens)
