"""The rules of shape, as functions from a checkout to a list of `file:line: what is wrong`.

`test_tidiness.py` holds the repository to them, and proves of each that it bites. Sources are parsed, never
imported, so an import in a function or under TYPE_CHECKING counts like any other.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LINES_MAX = 400
FUNCTION_LINES_MAX = 50
TEST_FUNCTION_LINES_MAX = 60

PACKAGE_ROOTS = ("engine", "sim")
SOURCE_ROOTS = ("engine", "sim", "tests", "benchmarks", "proto")

# Imports point inward: each layer, and what of the project it may import beside itself.
LAYERS: dict[str, frozenset[str] | None] = {
    "tallystick.core": frozenset(),
    "tallystick.store": frozenset({"tallystick.core"}),
    "tallystick.node": frozenset({"tallystick.core", "tallystick.store"}),
    "tallystick.v1": frozenset(),
    "tallystick.rpc": frozenset({"tallystick.core", "tallystick.store", "tallystick.node", "tallystick.v1"}),
    "tallystick.client": frozenset({"tallystick.v1"}),
    "tallystick.cli": None,  # anything: it wires the whole together, and nobody imports it
    "tallystick.__main__": frozenset({"tallystick.cli"}),
    "tallystick": frozenset({"tallystick.client"}),  # the package itself re-exports the SDK
    "tallystick_sim": frozenset({"tallystick.core", "tallystick.store", "tallystick.node"}),
}

# Within the core a unit imports units of its own rank or below, and never in a circle.
CORE_RANKS = {
    "errors": 0,
    "limits": 0,
    "codec": 0,
    "clock": 0,
    "frame": 0,
    "stock": 1,
    "order": 1,
    "members": 1,
    "invitations": 1,
    "digest": 1,
    "replica": 2,
    "replication": 2,
}

# The world, which the core never touches: it comes in as arguments.
CORE_FORBIDS = (
    *("asyncio", "concurrent", "multiprocessing", "os", "pathlib", "secrets", "random", "signal", "socket"),
    *("subprocess", "threading", "time", "datetime", "uuid", "importlib"),
    *("google", "grpc", "lmdb", "structlog", "uvloop"),
)
DOCUMENT = "tallystick.core.order.document"  # the one importer of pycrdt


@dataclass(frozen=True)
class Module:
    """One source file of a package, parsed."""

    name: str
    path: Path
    tree: ast.Module
    is_package: bool


@dataclass(frozen=True)
class Import:
    """One imported name, resolved: a module of the project, or the dotted name of something foreign."""

    target: str
    line: int


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def is_generated(path: Path) -> bool:
    return "_pb2" in path.name


def source_files(root: Path) -> list[Path]:
    """Every Python file that is written by hand."""
    found = (path for folder in SOURCE_ROOTS for path in (root / folder).rglob("*.py"))
    return sorted(path for path in found if not is_generated(path))


def load_modules(root: Path) -> dict[str, Module]:
    """The modules of the engine and the simulator by dotted name, generated ones included."""
    modules = {}
    for base in PACKAGE_ROOTS:
        for path in sorted((root / base).glob("*/**/*.py")):
            parts = path.relative_to(root / base).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            modules[name] = Module(name, path, parse(path), is_package)
    return modules


def imports_of(module: Module, modules: dict[str, Module]) -> Iterator[Import]:
    """Everything that a module imports, wherever the statement stands."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                package = module.name.split(".")[: None if module.is_package else -1]
                package = package[: len(package) - (node.level - 1)]
                source = ".".join([*package, *([source] if source else [])])
            for alias in node.names:
                name = f"{source}.{alias.name}"
                yield Import(source if source in modules and name not in modules else name, node.lineno)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def layer_of(name: str) -> str | None:
    """The layer that a module belongs to; None for what is not ours, or in no layer."""
    parts = name.split(".")
    if parts[0] == "tallystick" and len(parts) > 1:
        layer = ".".join(parts[:2])
        return layer if layer in LAYERS else None
    return parts[0] if parts[0] in LAYERS else None


def is_ours(name: str) -> bool:
    return name.split(".")[0] in ("tallystick", "tallystick_sim")


def core_unit(name: str) -> str:
    """The unit within the core: `stock` for `tallystick.core.stock.rights`, empty for the core itself."""
    return ".".join(name.split(".")[2:3])


# -------------------------------------------------------------------------------------------------- imports


def layer_problems(root: Path) -> list[str]:
    """Imports that point outward, and modules that the tables do not know."""
    modules = load_modules(root)
    problems = []
    for module in modules.values():
        where = module.path.relative_to(root)
        layer = layer_of(module.name)
        if layer is None:
            problems.append(f"{where}:1: {module.name} is in no layer: add it to LAYERS in tests/tidiness.py")
            continue
        for item in imports_of(module, modules):
            rule = outward(module.name, layer, item.target)
            if rule:
                problems.append(f"{where}:{item.line}: imports {item.target}: {rule}")
    return problems + core_problems(root, modules)


def outward(name: str, layer: str, target: str) -> str | None:
    """The rule between layers that one import breaks, if any."""
    if not is_ours(target):
        return None
    other = layer_of(target)
    allowed = LAYERS[layer]
    if other == "tallystick" and layer not in ("tallystick", "tallystick.cli"):
        return f"{layer} must not import the package's own front door"
    if other == layer or (allowed is None and other != "tallystick.__main__"):
        return None
    if other is None or allowed is None or other not in allowed:
        choices = ", ".join(sorted(allowed)) if allowed else "nothing else of the project"
        return f"{layer} may import {choices}"
    return None


def core_problems(root: Path, modules: dict[str, Module]) -> list[str]:
    """What the core imports of the world, and units of the core that import upward or in a circle."""
    problems = []
    edges: dict[str, set[str]] = {}
    for module in modules.values():
        if layer_of(module.name) != "tallystick.core":
            continue
        where = module.path.relative_to(root)
        unit = core_unit(module.name)
        if unit and unit not in CORE_RANKS:
            problems.append(f"{where}:1: core.{unit} has no rank: add it to CORE_RANKS in tests/tidiness.py")
            continue
        for item in imports_of(module, modules):
            if within(item.target, "tallystick.core"):
                edges.setdefault(unit, set()).add(core_unit(item.target))
            rule = impure(module.name, item.target) or upward(unit, item.target)
            if rule:
                problems.append(f"{where}:{item.line}: imports {item.target}: {rule}")
    return problems + [f"engine/tallystick/core: units import each other: {ring}" for ring in rings(edges)]


def impure(name: str, target: str) -> str | None:
    if any(within(target, world) for world in CORE_FORBIDS):
        return "the core is pure; the world comes in as arguments"
    if within(target, "pycrdt") and name != DOCUMENT:
        return f"only {DOCUMENT} imports pycrdt"
    return None


def upward(unit: str, target: str) -> str | None:
    other = core_unit(target)
    if not within(target, "tallystick.core") or other == unit or not unit:
        return None
    if not other:
        return "the core's parts import each other by name, not the core as a whole"
    if CORE_RANKS.get(other, 0) > CORE_RANKS[unit]:
        return f"core.{unit} is below core.{other}"
    return None


def rings(edges: dict[str, set[str]]) -> list[str]:
    """The circles among the units, each told once, from its first name in the alphabet."""
    found = set()

    def follow(path: tuple[str, ...]) -> None:
        for unit in edges.get(path[-1], ()):
            if unit == path[0] and len(path) > 1 and unit == min(path):
                found.add(" → ".join([*path, unit]))
            elif unit not in path:
                follow((*path, unit))

    for unit in edges:
        follow((unit,))
    return sorted(found)


# ------------------------------------------------------------------------------------------ reach and sizes


def unreached(modules: dict[str, Module], entries: Iterable[str]) -> set[str]:
    """The modules that no chain of imports reaches; importing a module runs the packages around it too."""
    seen: set[str] = set()
    waiting = [name for name in entries if name in modules]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in modules:
            continue
        seen.add(name)
        waiting += [name.rpartition(".")[0]] if "." in name else []
        waiting += [item.target for item in imports_of(modules[name], modules)]
    return {name for name, module in modules.items() if name not in seen and not is_generated(module.path)}


def size_problems(root: Path) -> list[str]:
    """Files and functions that have grown beyond what one sitting reads."""
    problems = []
    for path in source_files(root):
        where = path.relative_to(root)
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > LINES_MAX:
            problems.append(f"{where}:{LINES_MAX + 1}: {lines} lines; a file has at most {LINES_MAX}")
        limit = TEST_FUNCTION_LINES_MAX if where.parts[0] == "tests" else FUNCTION_LINES_MAX
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > limit:
                    what = f"{node.name} has {length} lines; a function has at most {limit}"
                    problems.append(f"{where}:{node.lineno}: {what}")
    return problems


# --------------------------------------------------------------------------------------------------- habits

UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def habit_problems(root: Path) -> list[str]:
    """Notes of unfinished work, errors swallowed whole, and tests that sleep."""
    problems = []
    for path in source_files(root):
        where = path.relative_to(root)
        findings = [*unfinished_notes(path), *swallowed_errors(path)]
        if where.parts[0] == "tests":
            findings += sleeps(path)
        problems += [f"{where}:{line}: {what}" for line, what in sorted(findings)]
    return problems


def unfinished_notes(path: Path) -> Iterator[tuple[int, str]]:
    reader = io.StringIO(path.read_text(encoding="utf-8")).readline
    texts = [(t.start[0], t.string) for t in tokenize.generate_tokens(reader) if t.type == tokenize.COMMENT]
    documented = (node for node in ast.walk(parse(path)) if isinstance(node, DOCUMENTED))
    texts += [(getattr(node, "lineno", 1), ast.get_docstring(node) or "") for node in documented]
    for line, text in texts:
        note = UNFINISHED.search(text)
        if note:
            yield line, f"{note[0]}: finish it, or write down elsewhere what is missing"


def swallowed_errors(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                yield node.lineno, "a bare except"
            elif is_any_error(node.type) and all(is_nothing(statement) for statement in node.body):
                yield node.lineno, "swallows every error"
        elif isinstance(node, ast.Call) and is_suppress(node.func) and any(map(is_any_error, node.args)):
            yield node.lineno, "swallows every error"


def is_suppress(node: ast.expr) -> bool:
    return dotted(node) in ("suppress", "contextlib.suppress")


def is_any_error(node: ast.expr) -> bool:
    names = node.elts if isinstance(node, ast.Tuple) else [node]
    return any(dotted(name) in ("Exception", "BaseException") for name in names)


def is_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def sleeps(path: Path) -> Iterator[tuple[int, str]]:
    """A test waits for what it awaits; giving way to the loop once, `asyncio.sleep(0)`, is no sleep."""
    advice = "tests wait for an event or move a virtual clock"
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ImportFrom) and node.module in ("time", "asyncio"):
            if any(alias.name == "sleep" for alias in node.names):
                yield node.lineno, f"imports sleep: {advice}"
        elif isinstance(node, ast.Call):
            name = dotted(node.func)
            zero = bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
            if name == "time.sleep" or (name in ("asyncio.sleep", "anyio.sleep") and not zero):
                yield node.lineno, f"{name}: {advice}"


def dotted(node: ast.expr) -> str:
    """`a.b` for the expression a.b; empty for anything that isn't a plain path of names."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr}" if head else ""
    return ""


# ---------------------------------------------------------------------------------------------------- links

LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def link_problems(root: Path) -> list[str]:
    """Relative links in the prose that lead nowhere, or out of the repository."""
    top = (root / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))
    pages = [*(page for page in top if page.exists()), *sorted((root / "docs").rglob("*.md"))]
    problems = []
    for page in pages:
        text = CODE.sub(lambda code: re.sub(r"[^\n]", " ", code[0]), page.read_text(encoding="utf-8"))
        for link in LINK.finditer(text):
            target = link[1].partition("#")[0]
            if not target or re.match(r"[a-z]+:", target):
                continue
            line = text.count("\n", 0, link.start()) + 1
            resolved = (page.parent / target).resolve()
            if not resolved.exists() or not resolved.is_relative_to(root.resolve()):
                problems.append(f"{page.relative_to(root)}:{line}: the link to {target} leads nowhere")
    return problems
