"""The command line: exit statuses, what goes to which stream, and that each command does what its help says."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from scenario_files import COUPLING, SMALL, blow_up, change, drop, on_graph, refused, write

import dynet as dn
from dynet import cli
from dynet.cli import main
from dynet.models import KINDS

ROOT = pathlib.Path(__file__).parents[1]
UNSTABLE = change('activation = "tanh"', 'activation = "tanh"\nweight = 9.0')


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A folder to work in that holds small.toml."""
    monkeypatch.chdir(tmp_path)
    return write(tmp_path)


@pytest.fixture
def run_folder(small, capsys):
    assert main(["run", "small.toml", "--quiet"]) == 0
    capsys.readouterr()
    return pathlib.Path("runs/small")


def process(*arguments, cwd, **options):
    done = subprocess.run([sys.executable, "-m", "dynet.cli", *arguments], cwd=cwd, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}, timeout=120, **options)  # fmt: skip
    return done.returncode, done.stdout, done.stderr


# --- run ---------------------------------------------------------------------------------------------------------------


def test_run_prints_the_folder_and_says_the_rest_elsewhere(small, capsys):
    assert main(["run", "small.toml"]) == 0
    said = capsys.readouterr()
    assert said.out == "runs/small\n"
    assert said.err.startswith("small: Three nodes\n") and "certified rate" in said.err
    assert main(["run", "small.toml", "--quiet", "--out", "elsewhere"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("elsewhere/small\n", "")
    assert main(["run", "small.toml", "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == "" and json.loads(said.out)["numbers"]["nodes"] == 3


@pytest.mark.parametrize(
    ("expect", "status", "with_check"),
    [("rate = { min = 0.1 }", 0, 0), ("rate = { min = 9.0 }", 0, 1), ("osLip_lower = 3.0", 0, 1)],
)
def test_check_decides_by_the_expectations(expect, status, with_check, small, capsys):
    write(pathlib.Path(), change("rate = { min = 0.1 }", expect))
    assert main(["run", "small.toml"]) == status
    assert main(["run", "small.toml", "--check"]) == with_check
    assert ("FAIL" in capsys.readouterr().err) == bool(with_check)
    assert json.loads(pathlib.Path("runs/small/report.json").read_text())["passed"] == (not with_check)


def test_set(small, capsys):
    options = ["--set", "model.weight=0.5", "--set", "title=half as much", "--set", "simulate.x0={ a = 1.0 }"]
    assert main(["run", *options, "small.toml", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["title"] == "half as much" and data["numbers"]["rate"] > 0.7
    resolved = dn.Scenario.load("runs/small/scenario.toml")
    assert resolved.tables.model["weight"] == 0.5 and resolved.tables.simulate.x0 == {"a": 1.0}


@pytest.mark.parametrize(
    ("change", "text"),
    [("model", "--set='model': expected key=value, such as model.weight=0.2"),
     ("=3", "--set='=3': expected key=value"),
     ("model.wieght=0.2", "small.toml: model.wieght=0.2: expected a parameter of hopfield (weight, ", ),
     ("seed=abc", "small.toml: seed='abc': expected a whole number"),
     ("title.x=1", "key='title.x': expected a path of keys")],
)  # fmt: skip
def test_set_is_checked(change, text, small, capsys, tmp_path):
    assert text in refused(capsys, tmp_path, small, "--set", change)


@pytest.mark.parametrize(
    ("options", "text"),
    [(("--device", "cpi"), "--device='cpi': expected a device (cpu, cuda); did you mean 'cpu'?"),
     (("--workers", "0"), "--workers=0: expected at least 1"),
     (("--workers", "two"), 'Invalid value for --workers: unable to convert "two" into int. (see dynet --help)'),
     (("--quite",), "Unknown option: --quite. Did you mean --quiet? (see dynet --help)"),
     (("missing.toml",), "missing.toml: expected a scenario file, and there is none"),
     (("smal.toml",), "did you mean 'small.toml'?")],
)  # fmt: skip
def test_wrong_options(options, text, small, capsys, tmp_path):
    assert text in refused(capsys, tmp_path, small, *options)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [(["run"], "FILE=nothing: expected at least one scenario file"), (["check"], "FILE=nothing"),
     (["rum"], 'Unknown command "rum". Did you mean "run"?'), (["certify"], "requires an argument"),
     (["show", "nowhere"], "result='nowhere': expected an existing file, or the folder of a run"),
     (["verify", "nowhere.json"], "nowhere.json: expected a certificate file: No such file or directory"),
     (["new", "studdy"], "did you mean 'study'?"),
     (["new", "hopfeild"], "kind='hopfeild': expected a kind of model (hopfield, "), (["models", "x"], "kind='x'"),
     (["figures", "nowhere"], "folder='nowhere': expected a folder that holds scenario files")],
)  # fmt: skip
def test_wrong_calls(arguments, text, small, capsys):
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("dynet: ") and said.err.count("\n") == 1
    assert text in said.err


def test_all_files_are_checked_before_the_first_runs(small, capsys, tmp_path):
    bad = write(tmp_path, change('"tanh"', '"tahn"'), "bad.toml")
    assert "bad.toml:7: model.activation='tahn'" in refused(capsys, tmp_path, small, str(bad))


def test_two_scenarios_of_one_name(small, capsys, tmp_path):
    (tmp_path / "other").mkdir()
    twin = write(tmp_path / "other")
    said = refused(capsys, tmp_path, small, str(twin))
    assert "FILE=" in said and "other/small.toml" in said and "set name in one of them" in said
    assert main(["run", "small.toml", str(twin), "--set", "name=same"]) == 2
    write(tmp_path / "other", 'name = "large"\n' + SMALL)
    assert main(["run", "small.toml", str(twin), "--quiet"]) == 0
    assert capsys.readouterr().out == "runs/small\nruns/large\n"


def test_a_run_that_blows_up_is_reported_with_time_and_remedy(small, capsys, tmp_path):
    blow_up(tmp_path)
    assert main(["run", "blow_up.toml", "small.toml"]) == 0
    said = capsys.readouterr()
    assert said.out == "runs/blow_up\nruns/small\n"
    assert re.search(r"number 1: nonfinite at t = 0\.693", said.err) and "shorten the time span" in said.err
    assert "2 ok, 1 nonfinite" in said.err
    assert main(["show", "runs/blow_up/trajectory.nc"]) == 0
    assert "trajectory 1 stopped at t = 0.693" in capsys.readouterr().out


def test_one_run_that_fails_does_not_stop_the_others(small, capsys, tmp_path):
    write(tmp_path, name="second.toml")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "small").write_text("a file in the way")
    assert main(["run", "small.toml", "second.toml"]) == 2
    said = capsys.readouterr()
    assert said.out == "runs/second\n" and said.err.startswith("dynet: runs/small: expected a folder to write to")


def test_an_interrupt(small, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("dynet.scenario.running._simulate", interrupt)
    assert main(["run", "small.toml"]) == 130
    said = capsys.readouterr()
    assert said.out == "" and said.err == "dynet: interrupted; nothing half-written is left\n"
    assert not pathlib.Path("runs").exists()


def test_resume_skips_what_is_done_unchanged_and_passed(small, capsys):
    stamp = pathlib.Path("runs/small/report.json")

    def run(*options):
        before = stamp.stat().st_mtime_ns if stamp.exists() else None
        assert main(["run", "small.toml", "--resume", *options]) == 0
        assert capsys.readouterr().out == "runs/small\n"
        return stamp.stat().st_mtime_ns != before

    assert run()
    assert not run()
    assert run("--set", "seed=5")
    assert run() and not run()
    pathlib.Path("runs/small/trajectory.nc").unlink()
    assert run() and not run()
    stamp.write_text("{")
    assert run() and not run()
    write(pathlib.Path(), change("{ min = 0.1 }", "{ min = 9.0 }"))
    assert run() and run()  # a run that did not pass is done again


def test_resume_prints_what_a_run_prints(run_folder, capsys):
    assert main(["run", "small.toml", "--resume"]) == 0
    said = capsys.readouterr()
    assert said.out == "runs/small\n" and said.err == "small: done before, unchanged and passed\n"
    assert main(["run", "small.toml", "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "small"


def test_workers_give_the_same_numbers(small, capsys, tmp_path):
    write(tmp_path, name="second.toml")
    (tmp_path / "alone").mkdir()
    assert main(["run", "small.toml", "second.toml", "--quiet", "--out", "alone", "--set", "seed=7"]) == 0
    capsys.readouterr()
    assert main(["run", "small.toml", "second.toml", "--workers", "2", "--set", "seed=7"]) == 0
    said = capsys.readouterr()
    assert said.out == "runs/small\nruns/second\n"  # in the order of the files
    assert said.err.index("small: ") < said.err.index("second: ")
    for name in ("small", "second"):
        one, two = (dn.Trajectory.load(f"{out}/{name}/trajectory.nc") for out in ("alone", "runs"))
        assert (one.x == two.x).all()


def test_a_worker_that_dies_is_named(small, capsys, tmp_path):
    blow_up(tmp_path, "dies.toml")
    source = tmp_path / "blow_up.py"
    dies = "import multiprocessing, os\nif multiprocessing.parent_process():\n    os._exit(9)\n"
    source.write_text(dies + source.read_text())
    assert main(["run", "dies.toml", "small.toml", "--workers", "2"]) == 2
    err = capsys.readouterr().err
    assert "dynet: dies: its process was ended from outside; was the memory enough?\n" in err and "Traceback" not in err
    assert not (tmp_path / "runs" / "dies").exists()


def test_dask(small, capsys, tmp_path):
    distributed = pytest.importorskip("dask.distributed", reason="the extra 'dask' is not installed")
    write(tmp_path, name="second.toml")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        assert main(["run", "small.toml", "second.toml", "--dask", address]) == 0
    said = capsys.readouterr()
    assert said.out == f"{tmp_path}/runs/small\n{tmp_path}/runs/second\n"
    assert "certified rate" in said.err and (tmp_path / "runs" / "second" / "report.json").exists()


def test_dask_that_is_not_installed_or_not_there(small, capsys, tmp_path, monkeypatch):
    pytest.importorskip("dask.distributed", reason="the extra 'dask' is not installed")
    assert "--dask='nowhere': expected the address of a running dask scheduler" in refused(
        capsys, tmp_path, small, "--dask", "nowhere"
    )
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    said = refused(capsys, tmp_path, small, "--dask", "tcp://127.0.0.1:8786")
    assert said.startswith("--dask needs the optional dependency 'dask'") and "[dask]" in said


# --- certify, verify, check, show -------------------------------------------------------------------------------------


def test_certify(small, capsys, tmp_path):
    assert main(["certify", "small.toml"]) == 0
    said = capsys.readouterr()
    assert said.err == "" and "strongly contracting" in said.out and "check   passed, in floating point" in said.out
    assert main(["certify", "small.toml", "--exact"]) == 0
    assert "check   passed, in exact rational arithmetic" in capsys.readouterr().out
    assert main(["certify", "small.toml", "--json"]) == 0
    assert dn.Certificate.from_json(capsys.readouterr().out).check()
    assert main(["certify", "small.toml", "--set", "model.weight=9.0"]) == 1
    assert "nothing to check: it claims no contraction" in capsys.readouterr().out
    write(tmp_path, '[model]\nkind = "lorenz"\n[simulate]\nt = 1.0\n', "lorenz.toml")
    assert main(["certify", "lorenz.toml"]) in (1, 2)
    assert main(["certify", "missing.toml"]) == 2
    assert not pathlib.Path("runs").exists()


def test_verify_needs_nothing_but_the_file(run_folder, capsys, tmp_path):
    alone = tmp_path / "sent" / "by_mail.json"
    alone.parent.mkdir()
    alone.write_bytes((run_folder / "certificate.json").read_bytes())
    status, out, err = process("verify", "by_mail.json", cwd=alone.parent)
    assert (status, err) == (0, "") and "check   passed, in floating point with directed rounding" in out
    assert main(["verify", str(alone), "--exact"]) == 0
    assert main(["verify", str(alone), "--exact", "--json"]) == 0
    words, brace, data = capsys.readouterr().out.partition("{")
    assert (
        "lower bound  proven" in words and "numbers      carried" in words
    )  # what is proven, and what is taken on trust
    found = json.loads(brace + data)
    assert found["holds"] is True and found["exact"] is True and found["rate"] > 0.1
    assert found["parts"]["rate"] == "proven" and found["parts"]["lower bound"] == "proven"


def _tampered(text, name):
    """The certificate with one digit of a part changed."""
    body = json.loads(text)
    part = {"rate": body, "weights": body["norm"], "E": body["claim"]["field"]}[name]
    value = part[name]["data"] if isinstance(part[name], dict) else part[name]
    at = next(i for i, c in enumerate(value) if c.isdigit() and i > 4) if name == "rate" else len(value) // 2
    changed = value[:at] + ("7" if value[at] != "7" else "3") + value[at + 1 :]
    part[name] = {**part[name], "data": changed} if isinstance(part[name], dict) else changed
    return body


@pytest.mark.parametrize("part", ["rate", "E"])
def test_a_changed_digit_is_seen(part, run_folder, capsys):
    path = run_folder / "certificate.json"
    path.write_text(json.dumps(_tampered(path.read_text(), part)))
    assert main(["verify", str(path)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert f"{path}: digest=" in said.err and "the file was changed after it was written" in said.err


@pytest.mark.parametrize("exact", [[], ["--exact"]])
def test_a_forged_rate_does_not_hold(exact, run_folder, capsys):
    """Whoever changes the rate and the digest is refuted by the inequality: exit status 1."""
    from dataclasses import replace

    path = run_folder / "certificate.json"
    honest = dn.Certificate.from_json(path.read_text())
    for factor, status in ((1.001, 1), (0.999, 0)):
        rate = honest.rate * factor
        path.write_text(replace(honest, rate=rate, bounds=(-2.0 * rate, -rate)).to_json())
        assert main(["verify", str(path), *exact]) == status
        assert ("check   FAILED" in capsys.readouterr().out) == (status == 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", "not readable JSON"), ("{", "not readable JSON"), ("[1]", "this is not a certificate"),
     ('{"format": "dynet-certificate", "version": 99}', "version=99: expected 1"),
     ('{"format": "dynet-certificate", "version": 1}', "the field 'model' is missing"), (b"\xff\xfe", "codec can't decode")],
)  # fmt: skip
def test_unreadable_certificates(text, expected, tmp_path, capsys):
    path = tmp_path / "certificate.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    for command in ("verify", "show"):
        assert main([command, str(path)]) == 2
        said = capsys.readouterr()
        assert said.out == "" and said.err.count("\n") == 1
        assert said.err.startswith(f"dynet: {path}: ") and expected in said.err


def test_a_certificate_that_claims_nothing_does_not_hold(small, capsys, tmp_path):
    write(tmp_path, drop("expect", text=UNSTABLE), "unstable.toml")
    assert main(["run", "unstable.toml", "--quiet"]) == 0
    assert main(["verify", "runs/unstable/certificate.json"]) == 1


def test_check(small, capsys, tmp_path):
    assert main(["check", "small.toml"]) == 0
    assert capsys.readouterr().out == "small.toml: ok, Hopfield with 3 states\n"
    write(tmp_path, change('"tanh"', '"tahn"'), "bad.toml")
    write(tmp_path, change(COUPLING, 'coupling = "none.npy"\n'), "none.toml")
    assert main(["check", "bad.toml", "small.toml", "none.toml"]) == 2
    said = capsys.readouterr()
    assert said.out == "small.toml: ok, Hopfield with 3 states\n"
    assert said.err.count("\n") == 2 and "did you mean 'tanh'" in said.err and "there is no file none.npy" in said.err
    assert main(["check", "small.toml", "--set", "model.weight=x"]) == 2
    assert not pathlib.Path("runs").exists()


def test_show(run_folder, capsys):
    def shown(*arguments):
        assert main(["show", *map(str, arguments)]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        return said.out

    assert "certified rate" in shown(run_folder) and shown(run_folder) == shown(run_folder / "report.json")
    assert json.loads(shown(run_folder, "--json"))["name"] == "small"
    text = shown(run_folder / "trajectory.nc")
    assert "3 trajectories, 5 times from 0 to 2, 3 states, 3 ok" in text and "dopri5" in text
    assert re.search(r"^  a +[-\d.]+ +[-\d.]+$", text, re.MULTILINE)
    data = json.loads(shown(run_folder / "trajectory.nc", "--json"))
    assert data["labels"] == ["a", "b", "c"] and data["shape"] == [3, 5, 3] and data["statuses"] == ["ok"] * 3
    assert np.shape(data["final"]) == (3, 3)
    assert "rows closest to the bound" in shown(run_folder / "certificate.json")
    assert json.loads(shown(run_folder / "certificate.json", "--json"))["format"] == "dynet-certificate"


@pytest.mark.parametrize("name", ["empty.nc", "text.nc", "notes.txt", "empty"])
def test_show_what_is_no_result(name, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.nc").touch()
    (tmp_path / "text.nc").write_text("no HDF5")
    (tmp_path / "notes.txt").touch()
    assert main(["show", str(tmp_path / name)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and name in said.err


# --- new, models, info, figures, help ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_new_runs_as_it_stands(kind, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["new", kind]) == 0
    text = capsys.readouterr().out
    if kind == "power_grid":
        shutil.copy(pathlib.Path(__file__).parents[1] / "scenarios/data/case9.m", tmp_path / "case.m")
    write(tmp_path, re.sub(r"(?ms)^\[\[figure\]\]\n.*?(?=^\[|\Z)", "", text), "mine.toml")
    assert main(["run", "mine.toml", "--check"]) == 0, capsys.readouterr().err
    assert main(["models", kind]) == 0


def test_models(capsys):
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    assert all(kind in text for kind in KINDS)
    assert main(["models", "--json"]) == 0
    assert [entry["kind"] for entry in json.loads(capsys.readouterr().out)] == list(KINDS)


def test_info(capsys):
    assert main(["info"]) == 0
    assert re.search(r"^numba +\d", capsys.readouterr().out, re.MULTILINE)
    assert main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["numpy"] == np.__version__


def test_figures(small, capsys, tmp_path):
    (tmp_path / "all" / "deep").mkdir(parents=True)
    write(tmp_path / "all")
    write(tmp_path / "all" / "deep", change("{ min = 0.1 }", "{ min = 9.0 }"), "wrong.toml")
    assert main(["figures", "all", "--out", "out", "--quiet"]) == 1
    assert capsys.readouterr().out == "out/wrong\nout/small\n"
    (tmp_path / "all" / "deep" / "wrong.toml").unlink()
    assert main(["figures", "all", "--out", "out", "--quiet"]) == 0


COMMANDS = ["run", "certify", "verify", "check", "show", "new", "models", "info", "figures"]


def test_help_names_every_command_and_every_option(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(re.search(rf"^│ {command} ", text, re.MULTILINE) for command in COMMANDS), text
    for command in COMMANDS:
        assert main([command, "--help"]) == 0
        text = capsys.readouterr().out
        assert text.startswith(f"Usage: dynet {command}") and "ARGS" not in text, text
        assert "--no-" not in text and "--empty-" not in text and "[default: False]" not in text
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == dn.__version__


def test_help_is_light():
    heavy = ["matplotlib", "xarray", "numba", "networkx", "scipy", "numpy", "h5py", "dask", "msgspec"]
    code = f"import sys; from dynet.cli import main; main(['--help']); print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_whole_process(tmp_path):
    write(tmp_path)
    status, out, err = process("run", "small.toml", cwd=tmp_path)
    assert (status, out) == (0, "runs/small\n") and "certified rate" in err and "\x1b" not in err
    status, out, err = process("run", "nowhere.toml", cwd=tmp_path)
    assert (status, out) == (2, "") and "Traceback" not in err


def test_a_reader_that_goes_away(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-m", "dynet.cli", "models"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(60) == 0 and said == b""


def test_nothing_is_shown_on_what_is_no_terminal(small, capsys):
    with cli._progress("small", quiet=False) as progress:
        progress("simulate", 0.5)
    assert capsys.readouterr() == ("", "")


ENDLESS = """\
[model]
kind = "lorenz"

[simulate]
t = 1e6
dt = 1e-6
method = "rk4"
max_steps = 1_000_000_000_000
"""


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_stops_compiled_code_and_leaves_nothing(workers, tmp_path):
    for name in ("one.toml", "two.toml"):
        write(tmp_path, ENDLESS, name)
    process = subprocess.Popen(
        [sys.executable, "-c", LATER, "run", "one.toml", "two.toml", "--workers", workers], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert (process.returncode, out, err) == (130, "", "dynet: interrupted; nothing half-written is left\n")
    assert sorted(place.name for place in tmp_path.iterdir()) == ["one.toml", "two.toml"]


#: The command line, with a Ctrl-C for its whole group of processes three seconds after the start.
LATER = """\
import os, signal, sys, threading
from dynet.cli import main
if __name__ == "__main__":
    threading.Timer(3.0, os.killpg, (0, signal.SIGINT)).start()
    sys.exit(main(sys.argv[1:]))
"""


def test_a_graph_whose_labels_name_inputs(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (
        on_graph('name = "les_miserables"') + '\n[input]\nkind = "constant"\nvalue = { Valjean = 1.0, Javer = 1.0 }\n'
    )
    said = refused(capsys, tmp_path, text)
    assert "input.value.Javer=1.0: expected the label of one of the 77 states; did you mean 'Javert'?" in said
