"""Time until something happens, in whole processes: import, help, first and second run of the first scenario.

Run on a quiet machine: ``python tests/bench/bench_start.py``. Prints the median and the least of seven processes (of three
for the runs of a scenario), with the limit where there is one. "First" starts from empty caches in a temporary folder.
"""

import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCENARIO = ROOT / "scenarios" / "quickstart.toml"


def process(*arguments, cache, cwd):
    """Seconds that one Python process takes."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DYNET_CACHE": str(cache / "dynet"),
        "NUMBA_CACHE_DIR": str(cache / "numba"),
        "MPLCONFIGDIR": str(cache / "matplotlib"),
        "MPLBACKEND": "agg",
    }
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)
    taken = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, arguments))} failed:\n{done.stdout}{done.stderr}")
    return taken


def show(what, values, limit=None):
    beside = "" if limit is None else f"   limit {limit:g}: {'ok' if np.median(values) <= limit else 'MISSED'}"
    print(f"{what:<46} {np.median(values):8.3f} {np.min(values):8.3f}  s{beside}", flush=True)


def main():
    print(f"{'':<46} {'median':>8} {'least':>8}")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        cache, cwd = folder / "cache", folder / "work"
        cwd.mkdir()

        def several(*arguments):
            process(*arguments, cache=cache, cwd=cwd)  # once for the byte code
            return np.array([process(*arguments, cache=cache, cwd=cwd) for _ in range(7)])

        numpy, ours = several("-c", "import numpy"), several("-c", "import dynet")
        show("import numpy", numpy)
        show("import dynet", ours)
        show("import dynet, beyond numpy", np.sort(ours) - np.sort(numpy), 0.1)

        if importlib.util.find_spec("dynet.cli") is None:
            print("dynet --help, dynet run: skipped, there is no dynet.cli")
            return
        show("dynet --help", several("-m", "dynet.cli", "--help"), 0.4)
        if not SCENARIO.exists():
            print(f"dynet run: skipped, there is no {SCENARIO.relative_to(ROOT)}")
            return
        first, second = [], []
        for k in range(3):
            cache = folder / f"cold{k}"
            for times in (first, second):
                times.append(process("-m", "dynet.cli", "run", str(SCENARIO), cache=cache, cwd=cwd))
        show("dynet run scenarios/quickstart.toml, first", first, 8)
        show("dynet run scenarios/quickstart.toml, second", second, 2.5)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
