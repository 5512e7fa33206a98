"""Time until something happens, in whole processes: import, help, first and second run of the first scenario.

Run on a quiet machine: ``python tests/bench/bench_start.py``. Prints the median and the least of seven processes (three for
the first run of a scenario, which starts from empty caches in a temporary folder), with the limit where there is one; beside
the wall time the median of the processor's time, which tells how quiet the machine was; at last the stages of a second run.
"""

import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCENARIO = ROOT / "scenarios" / "quickstart.toml"


def process(*arguments, cache, cwd):
    """Seconds that one Python process takes: on the wall, and of a processor."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DYNET_CACHE": str(cache / "dynet"),
        "NUMBA_CACHE_DIR": str(cache / "numba"),
        "MPLCONFIGDIR": str(cache / "matplotlib"),
        "MPLBACKEND": "agg",
    }
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)
    taken, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, arguments))} failed:\n{done.stdout}{done.stderr}")
    return taken, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def show(what, values, limit=None):
    (wall, cpu), least = np.median(values, axis=0), np.min(values, axis=0)[0]
    beside = "" if limit is None else f"   limit {limit:g}: {'ok' if wall <= limit else 'MISSED'}"
    print(f"{what:<46} {wall:8.3f} {least:8.3f} {cpu:8.3f}  s{beside}", flush=True)


def main():
    print(f"{'':<46} {'median':>8} {'least':>8} {'cpu':>8}")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        cache, cwd = folder / "cache", folder / "work"
        cwd.mkdir()

        def several(*arguments, times=7):
            return np.array([process(*arguments, cache=cache, cwd=cwd) for _ in range(times)])

        several("-c", "import dynet.cli", times=1)  # once for the byte code
        numpy, ours = several("-c", "import numpy"), several("-c", "import numpy, dynet")
        show("import numpy", numpy)
        show("import numpy, dynet", ours)
        show("import dynet, beyond numpy", np.sort(ours, axis=0) - np.sort(numpy, axis=0), 0.1)
        show("dynet --help", several("-m", "dynet.cli", "--help"), 0.4)
        run = ("-m", "dynet.cli", "run", str(SCENARIO))
        first = []
        for k in range(3):
            cache = folder / f"cold{k}"
            first.append(process(*run, cache=cache, cwd=cwd))
        show("dynet run scenarios/quickstart.toml, first", first, 8)
        show("dynet run scenarios/quickstart.toml, second", several(*run), 2.5)
        seconds = json.loads((cwd / "runs" / SCENARIO.stem / "report.json").read_text())["seconds"]
        print("  of which: " + ", ".join(f"{stage} {taken:.2f}" for stage, taken in seconds.items()))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
