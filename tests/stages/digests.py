"""What each stage's results depend on in the sources, as digests: a changed kernel must not meet old records.

    python -m tests.stages.digests            what changed since digests.json was written
    python -m tests.stages.digests --write    write it anew (make digests)

A record is reused while its stage's name, version and settings stay. So whoever changes what a stage computes must
raise its version by hand, and `test_digests.py` fails until somebody has decided that. For every ``Stage(...)`` call
of the package this follows the names from the functions given to it (``run``, ``prepare``, the halves of
``accelerated``) to definitions: functions, classes and constants, through imports, inside functions too. A definition
counts by its syntax tree, without what cannot reach a result:

- comments, formatting and docstrings; annotations of arguments, results and variables (not those of fields, which
  decide how pydantic reads a value); what is said to an exception that is raised;
- infrastructure, by one rule: *a module that moves bytes, places and retries work, or reports, and decides no value*.
  `INFRASTRUCTURE` lists it. What the package's settings and the stage's plans say needs no digest: it is hashed into
  the names of records as it is.

What a registry names as texts (``Registry(built_in={"jsonl": "winnow...:READER"})``) is followed, so a stage that reads
depends on all readers, and one that writes on all formats. Operators have versions of their own.

A method called on an argument is covered where its class is built or named on the way; libraries are covered by the
``versions`` among a stage's settings.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "pipeline" / "winnow"
RECORDED = Path(__file__).with_name("digests.json")

INFRASTRUCTURE = (
    "winnow.storage",  # bytes to disks and object stores, and back
    "winnow.engine",  # units, records, attempts, leases, Ray ...
    "winnow.errors",
    "winnow.fault_point",
    "winnow.section",  # the base class of settings
    "winnow.numeric.jit",  # compiles what is written elsewhere
    "winnow.numeric.kernel_files",
    "winnow.numeric.cached_arrays",  # keeps what is built elsewhere
    "winnow.numeric.prefetch",
)
"""Modules, with all below them, that are not followed ..."""
BUT = (
    "winnow.engine.exchange",
    "winnow.engine.exchange_extents",
    "winnow.numeric.jit.kernel",
    "winnow.numeric.jit.inline_kernel",
    "winnow.numeric.kernel_files.dispatcher",
)
"""... except the layout of exchange files, which decides what goes to which partition and in which order, and the
options that kernels are compiled with."""


class DigestError(Exception):
    """The sources say something that this file cannot follow."""


@dataclass(frozen=True)
class Definition:
    """One function, class or constant at the top of a module."""

    name: str  # winnow.dedup.minhash.signatures
    digest: str
    uses: tuple[str, ...]  # other definitions, by name


@dataclass
class Module:
    """The definitions and imports of one file."""

    name: str
    tree: ast.Module
    bodies: dict[str, list[ast.stmt]] = field(default_factory=dict)  # definition -> its statements
    imports: dict[str, str] = field(default_factory=dict)  # local name -> what it stands for, dotted
    calls: list[tuple[ast.stmt, ast.Call]] = field(default_factory=list)  # each with the statement that holds it

    def __post_init__(self) -> None:
        for statement in self.tree.body:
            for name in _bound(statement):
                self.bodies.setdefault(name, []).append(statement)
            for node in ast.walk(statement):
                if isinstance(node, ast.Call):
                    self.calls.append((statement, node))
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    self.imports |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
                elif isinstance(node, ast.Import):
                    self.imports |= {alias.asname: alias.name for alias in node.names if alias.asname}


def _bound(statement: ast.stmt) -> list[str]:
    """Names that a statement at the top of a module defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
    if isinstance(statement, ast.If | ast.Try | ast.With | ast.For | ast.While):
        inner = [child for child in ast.iter_child_nodes(statement) if isinstance(child, ast.stmt)]
        inner += [child for handler in getattr(statement, "handlers", ()) for child in handler.body]
        return [name for child in inner for name in _bound(child)]
    return []


class _Bare(ast.NodeTransformer):
    """Leaves of a definition what can reach a result."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return ast.Pass()
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        self.generic_visit(node)
        node.body = [child for child in node.body if not isinstance(child, ast.Pass)]
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        fields = [child.annotation if isinstance(child, ast.AnnAssign) else None for child in node.body]
        body = []
        for child, annotation in zip(node.body, fields, strict=True):
            bare = self.visit(child)
            if annotation is not None:
                bare = ast.AnnAssign(child.target, annotation, child.value, simple=1)
            if bare is not None and not isinstance(bare, ast.Pass):
                body.append(bare)
        node.body = body
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return ast.Pass()
        return self.generic_visit(ast.Assign([node.target], node.value))

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.Raise(kind, None)


@dataclass
class Package:
    """All modules below a folder that is the package ``winnow``."""

    folder: Path
    name: str = "winnow"

    @cached_property
    def modules(self) -> dict[str, Module]:
        found = {}
        for path in sorted(self.folder.rglob("*.py")):
            parts = [self.name, *path.relative_to(self.folder).with_suffix("").parts]
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = Module(name, ast.parse(path.read_text(encoding="utf-8"), str(path)))
        return found

    def __post_init__(self) -> None:
        self._definitions: dict[str, Definition | None] = {}

    def definition(self, name: str) -> Definition | None:
        """The definition of a dotted name; None where it is none of this package, or infrastructure."""
        if name not in self._definitions:
            self._definitions[name] = self._read(name)
        return self._definitions[name]

    def _read(self, name: str) -> Definition | None:
        module, _, local = name.rpartition(".")
        if module not in self.modules or local not in self.modules[module].bodies or is_infrastructure(name):
            return None
        statements = [_Bare().visit(_copy(statement)) for statement in self.modules[module].bodies[local]]
        digest = hashlib.blake2b(digest_size=8)
        for statement in statements:
            digest.update(ast.dump(statement).encode())
        uses = {use for statement in statements for use in self._uses(module, statement)} - {name}
        uses |= {use for statement in statements for use in self._registered(statement)}
        return Definition(name, digest.hexdigest(), tuple(sorted(uses)))

    def _uses(self, module: str, tree: ast.AST) -> Iterator[str]:
        """Definitions of this package that the names in a tree stand for."""
        for node in ast.walk(tree):
            dotted = _dotted(node)
            if dotted:
                yield from self._resolved(module, dotted)

    def _registered(self, tree: ast.AST) -> Iterator[str]:
        """Definitions that a ``Registry(...)`` names as texts, ``module:name``.

        Raises:
            DigestError: there is no such definition.
        """
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and _dotted(call.func) == "Registry":
                built_in = next((keyword.value for keyword in call.keywords if keyword.arg == "built_in"), None)
                for node in ast.walk(built_in) if isinstance(built_in, ast.Dict) else ():
                    if isinstance(node, ast.Constant) and ":" in str(node.value):
                        module, _, local = str(node.value).partition(":")
                        if module not in self.modules or local not in self.modules[module].bodies:
                            raise DigestError(f"{node.value}: a registry names it, and it is not there")
                        yield f"{module}.{local}"

    def _resolved(self, module: str, dotted: str) -> Iterator[str]:
        first, *rest = dotted.split(".")
        own = self.modules[module]
        if first in own.bodies:
            yield f"{module}.{first}"
        target = own.imports.get(first)
        while target is not None:
            if target in self.modules:  # a module: what is taken from it
                if rest:
                    target, rest = f"{target}.{rest[0]}", rest[1:]
                    continue
                return
            holder, _, local = target.rpartition(".")
            if holder not in self.modules:
                return
            if local in self.modules[holder].bodies:
                yield target
                return
            target = self.modules[holder].imports.get(local)  # re-exported

    def closure(self, roots: Iterable[str]) -> dict[str, str]:
        """Digest by name of all definitions that can be reached from some."""
        reached: dict[str, str] = {}
        waiting = list(roots)
        while waiting:
            name = waiting.pop()
            definition = None if name in reached else self.definition(name)
            if definition is not None:
                reached[name] = definition.digest
                waiting.extend(definition.uses)
        return dict(sorted(reached.items()))

    def stages(self) -> dict[str, "StageSources"]:
        """Every stage that some function of the package builds.

        Raises:
            DigestError: a ``Stage(...)`` whose name, version or functions cannot be read from the source.
        """
        found: dict[str, StageSources] = {}
        for module in self.modules.values():
            for function, call in module.calls:
                if self._builds_stage(module, call.func):
                    for stage in self._read_stage(module, function, call):
                        known = found.setdefault(stage.name, stage)
                        if known.version != stage.version:
                            raise DigestError(
                                f"stage {stage.name} is built with versions {known.version} and "
                                f"{stage.version}; give both the same"
                            )
                        found[stage.name] = StageSources(
                            stage.name, stage.version, {**known.definitions, **stage.definitions}
                        )
        return dict(sorted((found | self._operators()).items()))

    def _operators(self) -> dict[str, "StageSources"]:
        """Built-in operators, whose version stands in their decorator: stages reach them by name alone."""
        module = self.modules.get(f"{self.name}.operators.registry")
        found: dict[str, StageSources] = {}
        for name, place in ast.literal_eval(module.bodies["BUILT_IN"][0].value).items() if module else ():  # type: ignore[attr-defined]
            where, _, target = place.partition(":")
            (definition,) = self.modules[where].bodies[target]
            versions = [
                keyword.value.value
                for decorator in definition.decorator_list  # type: ignore[attr-defined]
                if isinstance(decorator, ast.Call)
                for keyword in decorator.keywords
                if keyword.arg == "version" and isinstance(keyword.value, ast.Constant)
            ]
            if len(versions) != 1:
                raise DigestError(f"{place}: a built-in operator must say version=... in its decorator")
            stage = f"operator {name}"
            found[stage] = StageSources(stage, int(versions[0]), self.closure([f"{where}.{target}"]))
        return found

    def _builds_stage(self, module: Module, called: ast.expr) -> bool:
        dotted = _dotted(called) or ""
        first, *rest = dotted.split(".")
        return ".".join([module.imports.get(first, first), *rest]) == f"{self.name}.engine.stage.Stage"

    def _read_stage(self, module: Module, function: ast.stmt, call: ast.Call) -> list["StageSources"]:
        where = f"{module.name}, line {call.lineno}"
        fields = ("name", "version", "settings", "run", "runtime", "prepare", "isolate", "accelerated")
        if any(isinstance(argument, ast.Starred) for argument in call.args) or any(
            k.arg is None for k in call.keywords
        ):
            raise DigestError(f"{where}: Stage(...) must name its arguments, without * and **")
        given = dict(zip(fields, call.args, strict=False)) | {k.arg: k.value for k in call.keywords if k.arg}
        if not isinstance(given.get("version"), ast.Constant):
            raise DigestError(f"{where}: the version of a stage must be a number in its Stage(...)")
        local = {
            target.id: node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        roots: set[str] = set()
        for part in ("run", "prepare", "accelerated"):
            expression = given.get(part)
            if isinstance(expression, ast.Name) and expression.id in local:
                expression = local[expression.id]
            if expression is not None:
                roots |= set(self._uses(module.name, expression))
        definitions = self.closure(roots)
        if not definitions:
            raise DigestError(f"{where}: what this stage runs must be functions at the top of a module of the package")
        names = self._names(module, function, given["name"], where)
        return [StageSources(name, int(given["version"].value), definitions) for name in names]

    def _names(self, module: Module, function: ast.stmt, name: ast.expr, where: str) -> list[str]:
        """The name, or all that are given to the function where it is an argument of it."""
        if isinstance(name, ast.Constant):
            return [str(name.value)]
        if isinstance(name, ast.JoinedStr) and isinstance(name.values[-1], ast.Constant):
            return [str(name.values[-1].value)]  # a prefix tells two uses of one stage apart: one version, one digest
        if isinstance(name, ast.Name) and isinstance(function, ast.FunctionDef):
            arguments = [argument.arg for argument in function.args.args]
            if name.id in arguments:
                at, defaults = arguments.index(name.id), function.args.defaults
                given: list[ast.expr | None] = list(defaults[at - len(arguments) :][:1]) if defaults else []
                for other in self.modules.values():
                    for _, call in other.calls:
                        if f"{module.name}.{function.name}" in self._uses(other.name, call.func):
                            keyword = [k.value for k in call.keywords if k.arg == name.id]
                            given += [*call.args[at : at + 1], *keyword]
                names = sorted({str(value.value) for value in given if isinstance(value, ast.Constant)})
                if names:
                    return names
        raise DigestError(f"{where}: the name of a stage must be a text, or an argument that is given as one")


@dataclass(frozen=True)
class StageSources:
    """One stage, and what its results come from."""

    name: str
    version: int
    definitions: dict[str, str]

    @property
    def digest(self) -> str:
        return hashlib.blake2b(json.dumps(self.definitions).encode(), digest_size=8).hexdigest()


def is_infrastructure(definition: str) -> bool:
    """Whether a definition decides no value; see above."""
    return _lies_in(definition, INFRASTRUCTURE) and not _lies_in(definition, BUT)


def _lies_in(definition: str, names: tuple[str, ...]) -> bool:
    return any(definition == name or definition.startswith(f"{name}.") for name in names)


def _copy(tree: ast.stmt) -> ast.stmt:
    return ast.parse(ast.unparse(tree)).body[0]


def _dotted(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return before and f"{before}.{node.attr}"
    return None


def record(stages: dict[str, StageSources]) -> dict[str, dict]:
    """What is written: version and digest of every stage, and the digest of every definition that reaches one."""
    definitions = {name: digest for stage in stages.values() for name, digest in stage.definitions.items()}
    return {
        "stages": {name: {"version": stage.version, "digest": stage.digest} for name, stage in stages.items()},
        "definitions": dict(sorted(definitions.items())),
    }


def differences(stages: dict[str, StageSources], recorded: dict[str, dict]) -> list[str]:
    """What is not as recorded, a line a stage, and what to do."""
    lines = []
    for name in sorted({*stages, *recorded["stages"]}):
        stage, known = stages.get(name), recorded["stages"].get(name)
        if stage is None:
            lines.append(f"stage {name} is gone: record the digests anew")
        elif known is None:
            lines.append(f"stage {name} is new: record the digests")
        elif stage.version != known["version"]:
            lines.append(f"stage {name}: version {known['version']} is now {stage.version}: record the digests anew")
        elif stage.digest != known["digest"]:
            lines.append(
                f"stage {name}: its sources changed and its version is still {stage.version}: "
                f"{', '.join(_changed(stage, recorded['definitions']))}; raise the version if any result can differ, "
                "else only record the digests anew and say so in the commit"
            )
    return lines


def _changed(stage: StageSources, recorded: dict[str, str]) -> list[str]:
    changed = [name for name, digest in stage.definitions.items() if recorded.get(name) != digest]
    return changed or ["it uses one definition less"]


def main(arguments: list[str]) -> int:
    """Show what changed, or write the file."""
    stages = Package(SOURCES).stages()
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {"stages": {}, "definitions": {}}
    for line in differences(stages, recorded):
        print(line)
    if arguments == ["--write"]:
        RECORDED.write_text(json.dumps(record(stages), indent=1) + "\n")
        print(f"{RECORDED}: {len(stages)} stages, {len(record(stages)['definitions'])} definitions")
    elif arguments:
        print("usage: python -m tests.stages.digests [--write]")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
