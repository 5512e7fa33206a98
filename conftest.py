"""What all tests share: the option ``--runslow``, one copy of dynet for child processes, and a folder for examples."""

import importlib.util
import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent

# Bridges, and the page about them, have no examples that could run where the other library is missing.
_BRIDGES = {
    "torch": ["dynet/implicit/torch.py", "docs/bridges.md"],
    "jax": ["dynet/implicit/jax.py", "docs/bridges.md"],
}
_PROGRAMS = ["tests/engine/cuda/simulated.py", "tests/engine/cuda/offline.py"]  # they set the process up for themselves
collect_ignore = _PROGRAMS + [
    path for name, paths in _BRIDGES.items() if importlib.util.find_spec(name) is None for path in paths
]


def pytest_addoption(parser):
    parser.addoption("--runslow", action="store_true", help="run the tests marked slow, too")


def pytest_configure(config):
    # Programs that a test starts import the same copy of dynet as the test itself (setup.cfg: pythonpath).
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    os.environ.setdefault("MPLBACKEND", "agg")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--runslow"):
        return
    skip = pytest.mark.skip(reason="slow; run with --runslow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def example_folder(request):
    """Run an example (doctest) in an empty folder that holds only `scenarios`, so that it may write files."""
    if isinstance(request.node, pytest.DoctestItem):
        folder = request.getfixturevalue("tmp_path")
        (folder / "scenarios").symlink_to(ROOT / "scenarios")
        request.getfixturevalue("monkeypatch").chdir(folder)
