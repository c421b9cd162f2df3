"""The import graph of the package and the size of its parts, and that importing it changes nothing of the process."""

import ast
import pathlib
import subprocess
import sys
import textwrap

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = "slowfast_tf"
COMMANDS = (
    "train evaluate predict find_people prepare export convert describe benchmark cross_validate ablate demo".split()
)
# From the top; a module uses those of its own floor and below.
FLOORS = [
    ("benchmarks",),
    ("training",),
    ("evaluation", "exporting"),
    ("inference",),
    ("checkpoints",),
    ("data",),
    ("config",),
    ("models",),
    ("video",),
    ("files",),
    ("plugins",),
    ("errors", "interrupts", "labels", "machine"),
]
# The names of data sets, and the epochs of a multigrid run, are the configuration's as well. Neither needs TensorFlow.
ALLOWED = {("config.schema", "data.datasets"), ("config.schema", "data.multigrid")}
LONGEST_FUNCTION, LONGEST_FILE = 70, 400

FILES = {path: ast.parse(path.read_text()) for path in sorted((ROOT / PACKAGE).rglob("*.py"))}


def name_of(path):
    """The dotted name inside the package: "training.run", or "" for the package itself."""
    return ".".join(path.relative_to(ROOT / PACKAGE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


MODULES = {name_of(path): tree for path, tree in FILES.items()}
PACKAGES = {name_of(path) for path in FILES if path.name == "__init__.py"}


def imported(module, tree):
    """The modules of the package that `module` imports, at its top and inside functions."""
    found = set()
    inside = module if module in PACKAGES else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                parts = [*filter(None, inside.split("."))]
                base = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [node.module])])
            elif node.module and node.module.partition(".")[0] == PACKAGE:
                base = node.module.partition(".")[2]
            else:
                continue
            for alias in node.names:
                inner = f"{base}.{alias.name}".lstrip(".")
                found.add(inner if inner in MODULES else base)
        elif isinstance(node, ast.Import):
            found |= {a.name.partition(".")[2] for a in node.names if a.name.partition(".")[0] == PACKAGE}
    return found - {module}


EDGES = sorted((module, used) for module, tree in MODULES.items() for used in imported(module, tree))


def floor(module):
    room = module.partition(".")[0]
    return next((number for number, rooms in enumerate(FLOORS) if room in rooms), None)


def arrows(edges):
    return [f"{module or PACKAGE} -> {used or PACKAGE}" for module, used in edges]


def nothing(found):
    """Fail if `found` has items, and list them."""
    found = list(map(str, found.items() if isinstance(found, dict) else found))
    assert not found, "\n".join(["", *found])


def is_command(module):
    return module in (*COMMANDS, "__main__")


def test_the_graph_has_existing_modules():
    assert set(COMMANDS) <= set(MODULES) and len(EDGES) > 100
    nothing([(module, used) for module, used in EDGES if used not in MODULES])
    # A new module's floor has to be added to FLOORS.
    nothing(m for m in MODULES if m and not is_command(m) and m != "runtime" and floor(m) is None)


def test_imports_are_relative():
    """`from errors import ...` would find a module of that name elsewhere, or none."""
    tops = {module.partition(".")[0] for module in MODULES} - {""}
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in FILES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").partition(".")[0] in tops
    ]
    nothing(wrong)


def test_no_command_is_imported():
    inside = [(m, used) for m, used in EDGES if is_command(used)]
    # Where Beam's workers look its functions up.
    nothing(arrows(edge for edge in inside if edge != ("prepare", "prepare")))


def test_runtime_is_for_commands_and_the_benchmarks_workers():
    users = [(m, used) for m, used in EDGES if used == "runtime"]
    nothing(arrows(e for e in users if not is_command(e[0]) and not e[0].startswith("benchmarks.")))


def test_arrows_go_down():
    up = []
    for module, used in EDGES:
        if is_command(module) or not module or not used or used == "runtime" or (module, used) in ALLOWED:
            continue  # the package itself has the public names, of all floors
        if is_command(used) or (module != "runtime" and floor(used) < floor(module)):
            up.append((module, used))
    nothing(arrows(up))


def test_the_package_itself_is_for_others():
    """`from . import load` hides which module is used. Only commands, which use the public names, may do this."""
    nothing(arrows(e for e in EDGES if not e[1] and not is_command(e[0])))


def test_no_circle():
    used_by = {module: [u for m, u in EDGES if m == module and u] for module in MODULES if module}
    circles, done, way = [], set(), []

    def visit(module):
        if module in way:
            circles.append(" -> ".join([*way[way.index(module) :], module]))
        elif module not in done:
            way.append(module)
            for used in used_by[module]:
                visit(used)
            way.pop()
            done.add(module)

    for module in used_by:
        visit(module)
    nothing(circles)


def test_private_names_stay_private():
    wrong = []
    for path, tree in FILES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                wrong += [f"{path.relative_to(ROOT)}: {a.name}" for a in node.names if a.name.startswith("_")]
    nothing(wrong)


def test_no_long_function():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {node.end_lineno - node.lineno + 1} lines"
        for path, tree in FILES.items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    ]
    nothing(found)


def test_no_long_file():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in FILES}
    nothing({path: length for path, length in lengths.items() if length > LONGEST_FILE})


def test_commands_only_parse():
    lengths = {name: len((ROOT / PACKAGE / f"{name}.py").read_text().splitlines()) for name in COMMANDS}
    nothing({name: length for name, length in lengths.items() if length >= 120})


# Each line of the output names something that an import changed.
CHANGES = """
    import atexit, gc, os, sys

    def state():
        files = {n: os.readlink(f"/proc/self/fd/{n}") for n in ("0", "1", "2")}
        blocked = sorted(name for name, module in sys.modules.items() if module is None)
        return {"gc": (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()), "files": files, "blocked": blocked}

    import tensorflow, keras  # theirs is theirs
    callbacks = []
    register, dup2, mallopt = atexit.register, os.dup2, []
    atexit.register = lambda function, *rest, **more: callbacks.append(function) or register(function, *rest, **more)
    os.dup2 = lambda *pair, **more: callbacks.append(f"os.dup2{pair}") or dup2(*pair, **more)
    before = state()
    import MODULE
    after = state()
    for name in before:
        if before[name] != after[name]:
            print(f"{name}: {before[name]} -> {after[name]}")
    for callback in callbacks:
        if not isinstance(callback, str):
            home = getattr(callback, "__module__", None) or type(callback).__module__
            if home.partition(".")[0] != "slowfast_tf":
                continue  # of a library that is imported
        print(f"called: {callback}")
"""


@pytest.mark.skipif(not pathlib.Path("/proc/self/fd").exists(), reason="needs /proc")
def test_importing_changes_nothing(tmp_path):
    names = ("config", "data", "evaluation.run", "training.run", "runtime")
    script = textwrap.dedent(CHANGES).replace("MODULE", ", ".join([PACKAGE, *(f"{PACKAGE}.{name}" for name in names)]))
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == ""
