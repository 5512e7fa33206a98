"""The code store: one module per text, compiled once per machine, safe from threads, processes and failures."""

import ast
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numba import cfunc

from dynet.engine import codegen


def test_a_module_is_made_of_pieces_and_kept():
    def double(x):
        return 2 * x

    pieces = ("half = 0.5\n", double)
    made = codegen.module(*pieces, tag="pieces")
    assert made.half == 0.5 and made.double(4) == 8
    assert codegen.module(*pieces, tag="pieces") is made
    assert made.__name__ in codegen.loaded()
    assert codegen.module("half = 0.25\n", double, tag="pieces") is not made


def test_the_name_depends_on_the_sources_that_generated_code_inlines(monkeypatch, tmp_path):
    root = tmp_path / "dynet"
    for folder in ("engine", "fields"):
        (root / folder).mkdir(parents=True)
    (root / "math.py").write_text("")
    (root / "engine" / "codegen.py").write_text("")
    (root / "fields" / "kernels.py").write_text("a = 1\n")
    monkeypatch.setattr(codegen, "__file__", str(root / "engine" / "codegen.py"))
    before = codegen._surroundings.__wrapped__()
    assert codegen._surroundings.__wrapped__() == before
    (root / "fields" / "kernels.py").write_text("a = 2\n")
    assert codegen._surroundings.__wrapped__() != before
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    (root / "fields" / "kernels.py").write_text("a = 1\n")
    assert codegen._surroundings.__wrapped__() != before


def test_the_folder_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("DYNET_CACHE", str(tmp_path / "here"))
    assert codegen.cache_folder() == (tmp_path / "here").resolve()
    made = codegen.module(f"where = {str(tmp_path)!r}\n", tag="chosen")
    assert made.__file__.startswith(str(tmp_path / "here"))
    assert [path.name for path in (tmp_path / "here").glob("*.py")] == [f"{made.__name__}.py"]
    assert not list((tmp_path / "here").glob(".*.tmp"))
    monkeypatch.delenv("DYNET_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert codegen.cache_folder() == (tmp_path / "cache" / "dynet").resolve()


def test_a_folder_that_cannot_be_written_is_replaced_by_one_of_our_own(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DYNET_CACHE", str(tmp_path / "file" / "folder"))
    folder = codegen.cache_folder()
    assert folder.is_dir() and folder == codegen.cache_folder()
    if hasattr(os, "getuid"):
        assert folder.stat().st_uid == os.getuid() and folder.stat().st_mode & 0o077 == 0


def test_threads_that_ask_for_one_module_get_one(monkeypatch, tmp_path):
    monkeypatch.setenv("DYNET_CACHE", str(tmp_path))
    text = "import time\ntime.sleep(0.05)\nthing = object()\n"
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: codegen.module(text, tag="threads").thing, range(8)))
    assert len(made) == 1


def test_a_module_that_fails_leaves_nothing_behind():
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            codegen.module("1 / 0\n", tag="broken")
    assert not [name for name in (*codegen.loaded(), *sys.modules) if name.startswith("broken_")]


CHILD = """
import sys
import numpy as np
sys.path.insert(0, {tests!r})
from dynet.engine import codegen, drive, explicit, stages, tableaus
from engine.blocks import LORENZ, block
model = block(LORENZ, 3)
args = (np.ones((4, 3)), np.tile([10.0, 28.0, 8 / 3], (4, 1)), 0.0, 1.0, np.array([1.0]))
runs = [explicit.integrate(model, *args), explicit.integrate(model, *args, "rk4", dt=0.01)]
steps = [stages.attempt_of(tableaus.TABLEAUS[m], False).cache_hits for m in ("dopri5", "rk4")]
hits = [sum(drive.driver().stats.cache_hits.values()), *steps]
print([model.function.cache_hits, *hits, [float(run.x.sum()).hex() for run in runs]])
"""


def child(folder, *flags, **environment):
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    environment = {**os.environ, "DYNET_CACHE": str(folder), **environment}
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.Popen(
        [sys.executable, *flags, "-c", CHILD.format(tests=here)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )

    def result():
        out, err = done.communicate(timeout=120)
        assert done.returncode == 0, err
        return ast.literal_eval(out), err

    return result


def test_a_second_process_compiles_nothing_and_two_at_once_do_not_collide(tmp_path):
    # Two cold processes race for the same files; warnings are errors in them, so Numba's on functions as arguments are seen.
    cold = [child(tmp_path, "-W", "error") for _ in range(2)]
    first, second = (result() for result in cold)
    assert first[0][4] == second[0][4]
    assert not list(tmp_path.glob(".*.tmp"))
    warm, err = child(tmp_path)()
    assert warm == [1, 1, 1, 1, first[0][4]]
    assert "Warning" not in err


def test_a_direct_call_follows_the_element_types_of_its_arguments():
    source = "from numba import njit\n@njit\ndef total(function, a):\n    return a.sum() + function(1.0)\n"
    total = codegen.module(source, tag="direct").total

    @cfunc("float64(float64)")
    def half(x):
        return x / 2

    for a in (np.ones(3), np.ones(3), np.ones(4, np.float32), np.ones(3), np.ones(4, np.float32)):
        assert codegen.direct(total, (half, a)) == a.size + 0.5
