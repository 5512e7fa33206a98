"""The house laws that a machine can check: floors, sizes, docstrings, extras, and that the papers of the house agree."""

import ast
import configparser
import importlib
import inspect
import pathlib
import re
import subprocess
import sys
import tomllib
import types

import pytest

import dynet

ROOT = pathlib.Path(__file__).parents[1]
MODULES = sorted((ROOT / "dynet").rglob("*.py"))
SKIPPED = {"build", "dist", "runs", "__pycache__"}
TEXT = {".py", ".md", ".toml", ".cfg", ".cff", ".csv", ".txt", ".graphml", ".edgelist", ".mplstyle", ""}

#: How an importable name is called on the package index, where the two differ.
DISTRIBUTION = {"flint": "python-flint", "cuda": "numba-cuda"}  # numba-cuda brings the bindings of the driver


def files():
    """Every text file of the tree that is not made by a tool."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part not in (".ci", ".gitignore") for part in parts)
        if (
            path.is_file()
            and not hidden
            and not SKIPPED & set(parts)
            and not any(p.endswith(".egg-info") for p in parts)
        ):
            yield path


def setup():
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    return config


def requirements(text):
    """Distribution names in a list of requirements, lower case, without versions and extras."""
    lines = (line.strip() for line in text.splitlines())
    return {re.match(r"[A-Za-z0-9_.-]+", line).group().lower() for line in lines if line and not line.startswith("#")}


def imports(path):
    """Dotted names that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def public():
    """(name, object) of everything that a user is offered: `dynet.__all__`, and `__all__` of the modules in it."""
    for name in dynet.__all__:
        thing = getattr(dynet, name)
        yield name, thing
        if isinstance(thing, types.ModuleType):
            for inner in getattr(thing, "__all__", ()):
                yield f"{name}.{inner}", getattr(thing, inner)


def has_example(thing):
    own = [thing.__doc__ or ""]
    if inspect.isclass(thing):
        own += [getattr(member, "__doc__", None) or "" for member in vars(thing).values()]
    return any(">>> " in doc for doc in own)


@pytest.mark.parametrize(("name", "thing"), list(public()), ids=lambda value: value if isinstance(value, str) else "")
def test_every_public_name_is_explained_by_an_example(name, thing):
    if isinstance(thing, types.ModuleType):
        assert thing.__doc__, f"{name} has no docstring"
    elif callable(thing):
        assert thing.__doc__, f"{name} has no docstring"
        assert has_example(thing), f"the docstring of {name} has no example"


def test_public_names_are_complete_and_lazy():
    assert sorted(dynet.__all__) == sorted(set(dynet.__all__))
    assert set(dynet.__all__) <= set(dir(dynet))
    heavy = ["matplotlib", "xarray", "numba", "networkx", "scipy", "clarabel", "h5py", "rich", "cyclopts", "pandas"]
    code = f"import sys, dynet; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", "import dynet must stay light"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_is_one_idea(path):
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= 400, "split it: a module holds one idea in at most 400 lines"
    if source.strip():
        assert ast.get_docstring(ast.parse(source)), "a module opens with what it is about"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_only_the_cuda_engine_imports_numba_cuda(path):
    # import-linter sees only the root of a package that is not ours; the other two laws of this kind stand in setup.cfg.
    if "engine/cuda" not in path.as_posix():
        assert not [name for name in imports(path) if name == "numba.cuda" or name.startswith("numba.cuda.")]


def test_every_import_is_declared():
    config = setup()
    extras = config["options.extras_require"]
    declared = requirements(config["options"]["install_requires"])
    optional = set().union(*(requirements(extras[name]) for name in extras if name not in ("test", "docs")))
    used = {name.partition(".")[0] for path in MODULES for name in imports(path)}
    used = {DISTRIBUTION.get(name, name).lower() for name in used - set(sys.stdlib_module_names) - {"dynet"}}
    tests = {"hypothesis", "pytest"}  # may be imported by dynet.testing alone
    for path in MODULES:
        if "dynet/testing" not in path.as_posix():
            assert not tests & {name.partition(".")[0] for name in imports(path)}, path
    assert used - declared - optional - tests == set(), "imported, but neither required nor in an extra"


def test_extras_are_consistent():
    extras = setup()["options.extras_require"]
    test = requirements(extras["test"])
    assert {"pytest", "hypothesis", "import-linter", "ruff"} <= test
    for light in ("exact", "grid", "dask"):
        assert requirements(extras[light]) <= test, f"the tests of extra {light} need it"
    for heavy in ("torch", "jax", "cuda"):
        assert not requirements(extras[heavy]) & test, f"extra {heavy} is too large for the test environment"


def test_files_that_are_not_python_are_packaged():
    data = setup()["options.package_data"]
    for path in (ROOT / "dynet").rglob("*"):
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts:
            package = ".".join(path.parent.relative_to(ROOT).parts)
            assert any(path.match(pattern) for pattern in data.get(package, "").split()), path
    for folder in {path.parent for path in MODULES}:
        assert (folder / "__init__.py").exists(), f"{folder} would not be installed"


def test_rooms_are_mirrored_documented_and_on_a_floor():
    architecture = (ROOT / "docs/develop/architecture.md").read_text(encoding="utf-8")
    floors = re.findall(r"\w+", setup()["importlinter:contract:floors"]["layers"])
    for room in sorted(path.stem for path in (ROOT / "dynet").iterdir() if not path.name.startswith("_")):
        assert room in floors, f"setup.cfg gives no floor to {room}"
        assert f"`{room}" in architecture or f"`dynet/{room}" in architecture, f"architecture.md is silent on {room}"
        if (ROOT / "dynet" / room).is_dir() and any((ROOT / "dynet" / room).glob("*.py")):
            assert (ROOT / "tests" / room).is_dir(), f"no folder tests/{room}"


def test_versions_agree():
    version = setup()["metadata"]["version"]
    assert re.search(rf"^version: {re.escape(version)}$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE).group(1)
    assert newest in (version, "Unreleased")


def test_nothing_names_a_place_outside_the_tree():
    outside = re.compile(
        "|".join(["/wo" + "rk/", "the" + "ory §", r"\bissue" + r" #?\d", r"\bsha" + r"red/(?!data\b)"])
    )
    for path in files():
        if path.suffix in TEXT and path != pathlib.Path(__file__):
            found = outside.search(path.read_text(encoding="utf-8"))
            assert not found, f"{path.relative_to(ROOT)} names {found.group()!r}"
            if path != ROOT / ".ci" / "run":
                assert "sha" + "red/data" not in path.read_text(encoding="utf-8"), path


def test_every_scenario_is_listed_and_readable():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "scenarios").rglob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    scenarios = [*(ROOT / "scenarios").rglob("*.toml"), *(ROOT / "scenarios").rglob("*.py")]
    assert scenarios
    for path in scenarios:
        assert path.relative_to(ROOT).as_posix() in text, f"no page mentions {path.relative_to(ROOT)}"
        if path.suffix == ".toml":
            tomllib.loads(path.read_text(encoding="utf-8"))


def test_every_scenario_describes_something_that_can_be_built():
    for path in sorted((ROOT / "scenarios").rglob("*.toml")):
        dynet.Scenario.load(path).build()


def test_the_entry_point_exists():
    module, _, function = setup()["options.entry_points"]["console_scripts"].partition("=")[2].strip().partition(":")
    assert callable(getattr(importlib.import_module(module), function))
