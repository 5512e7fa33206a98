"""Scenarios that train networks: the tables ``[[network]]`` and ``[study]`` on a data set, and what a run of them is.

``data = "digits"`` names the images, each ``[[network]]`` one network and how it is trained, ``[study]`` what is done
with all of them. What a key takes is read off :func:`dynet.implicit.fit`; what it is where the file does not say depends on the
data set (:data:`dynet.implicit.study.RECIPES`), so that ``--set data=mnist`` is a study of its own and not one with the
sizes of another.
"""

from __future__ import annotations

import csv
import functools
import io
import re
from dataclasses import dataclass

from ..errors import ArgumentError
from ..figures import STUDIES
from .tables import keywords

__all__ = ["TEMPLATE", "Trained", "build", "check", "run", "write"]

_MADE = ("name", "kind", "states", "gamma", "shift")
_NOT_HERE = (
    "net",
    "U",
    "labels",
    "device",
    "progress",
    "augment",
    "validation",
    "patience",
    "pixels",
    "checkpoint",
    "gamma",
)


@functools.cache
def keys():
    """The keys of ``[[network]]``."""
    from ..implicit.train import fit

    return (*_MADE, *(name for name in keywords(fit) if name not in _NOT_HERE))


def check(tables, where):
    """Everything of the tables that can be wrong without looking at the data."""
    from ..implicit import data

    for name in ("model", "graph", "input", "simulate", "certify", "equilibrium"):
        if getattr(tables, name) is not None:
            where.say((name,), "has no use: the tables [[network]] say what is trained")
    if tables.data is None:
        where.say(("data",), f"is missing: the name of a data set ({', '.join(data.NAMES)})")
    if tables.data not in data.NAMES:
        where.fail(("data",), tables.data, "the name of a data set", choices=data.NAMES)
    names = []
    for index, network in enumerate(tables.network):
        path = ("network", index)
        name = network.get("name")
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][\w-]*", name):
            where.fail((*path, "name"), name, "a name of letters, digits, '-', '_'")
        if name in names:
            where.fail((*path, "name"), name, "a name that no other network has")
        names.append(name)
        for key, value in network.items():
            if key not in keys():
                where.fail((*path, key), value, "a key of [[network]]", choices=keys(), word=key)
        if network.get("kind", "implicit") not in ("implicit", "explicit"):
            where.fail((*path, "kind"), network["kind"], "a kind of network", choices=("implicit", "explicit"))
        for key, least in (("states", 1), ("shift", 0)):
            value = network.get(key, least)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                where.fail((*path, key), value, f"a whole number of at least {least}")
        if network.get("kind") == "explicit" and "gamma" in network:
            where.fail((*path, "gamma"), network["gamma"], "no gamma: it belongs to implicit networks")
    _check_study(tables, where)
    for index, figure in enumerate(tables.figure):
        if figure["kind"] not in STUDIES:
            where.fail(("figure", index, "kind"), figure["kind"], "a figure of networks", choices=STUDIES)
        one, several = figure.get("network"), figure.get("networks")
        for key, found in (("network", [] if one is None else [one]), ("networks", several or [])):
            for name in found:
                if name not in names:
                    where.fail(("figure", index, key), name, "the name of a network", choices=names)
        if figure["kind"] == "sparsity" and not tables.study.kept:
            where.fail(("figure", index, "kind"), "sparsity", "study.kept, the fractions that it draws")
    known = quantities(names, tables.study)
    for name, wanted in tables.expect.items():
        if name not in known and name != "seconds":
            owner, _, quantity = name.rpartition(".")
            if owner and owner not in names:
                where.fail(("expect", name), wanted, "network.quantity, of a network", choices=names, word=owner)
            owner = owner or names[0]
            words = [word for word in known if word.startswith(f"{owner}.")]
            where.fail(("expect", name), wanted, "network.quantity", choices=words, word=f"{owner}.{quantity}")


def _check_study(tables, where):
    from ..implicit.robustness import ATTACKS
    from ..implicit.study import CERTIFICATES

    study = tables.study
    for key, known in (("attacks", ATTACKS), ("certificates", CERTIFICATES)):
        for word in getattr(study, key):
            if word not in known:
                where.fail(("study", key), word, f"names of {key}", choices=known)
    for key, low, high in (("eps", 0.0, 1.0), ("kept", 0.0, 1.0)):
        for value in getattr(study, key):
            if not low <= value <= high or (key == "kept" and value == 0.0):
                where.fail(("study", key), value, "numbers from 0 to 1" if key == "eps" else "numbers above 0, up to 1")
    if not study.attacks and not study.certificates:
        where.say(("study",), "has nothing to do: name attacks or certificates")


def quantities(names, study):
    """Every name that ``[expect]`` may use."""
    from ..implicit.study import QUANTITIES

    curves = [f"{kind}@{size:g}" for kind in (*study.attacks, *study.certificates) for size in study.eps]
    kept = [f"accuracy@kept{fraction:g}" for fraction in study.kept]
    return [f"{name}.{key}" for name in names for key in (*QUANTITIES, *kept, *curves)]


@dataclass(frozen=True)
class Trained:
    """What a scenario with networks describes, ready to run: as :class:`dynet.scenario.construct.Built`."""

    networks: dict
    images: object
    settings: object
    files: dict

    def options(self):
        """Every key of every network, as the study will use it, with the training's own defaults."""
        from ..implicit.study import RECIPES
        from ..implicit.train import fit

        defaults = {
            k: p.default
            for k, p in keywords(fit).items()
            if k in keys() and k not in _MADE and p.default is not p.empty
        }
        found = {}
        for name, given in self.networks.items():
            options = {"kind": "implicit", "gamma": 0.0, "shift": 0, **defaults, **RECIPES[self.images.name], **given}
            if options["kind"] == "explicit":
                del options["gamma"]
            found[name] = options
        return found

    @property
    def model(self):
        """What ``dynet check`` prints."""
        count = len(self.networks)
        return f"{count} network{'s' if count > 1 else ''} to train on {self.images.name} ({len(self.images.train)} images)"


def build(tables, where):
    """Load the data and try every network's first batch, so that nothing is wrong after an hour of training."""
    from ..implicit import data
    from ..implicit.study import RECIPES, Settings
    from ..implicit.study import build as start
    from ..implicit.train import fit

    try:
        images = data.load(tables.data)
    except ArgumentError as error:
        where.say(("data",), f"= {tables.data!r} cannot be read: {error}")
    study, networks = tables.study, {}
    for index, network in enumerate(tables.network):
        given = {"seed": tables.seed, **network}
        options = {"kind": "implicit", "gamma": 0.0, "shift": 0, **RECIPES[tables.data], **given}
        training = {k: v for k, v in options.items() if k not in (*_MADE, "epochs")}
        try:
            net = start(options, images)
            if options["kind"] == "implicit":
                training["gamma"] = options["gamma"]
            fit(net, images.train[:2], images.train_labels[:2], epochs=0, **training)
        except ArgumentError as error:
            where.wrap(("network", index), error)
        except TypeError as error:
            where.say(("network", index), f"cannot be trained: {error}")
        _count(options, where, ("network", index))
        networks[network["name"]] = {k: v for k, v in given.items() if k != "name"}
    settings = Settings(
        tuple(study.eps), tuple(study.attacks), tuple(study.certificates), study.steps, study.restarts,
        min(study.samples or len(images.test), len(images.test)), tuple(study.kept), tables.seed,
    )  # fmt: skip
    return Trained(networks, images, settings, {})


def _count(options, where, path):
    epochs = options["epochs"]
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 0:
        where.fail((*path, "epochs"), epochs, "a whole number of at least 0")


def run(built, progress):
    """Train, attack, certify, prune: the :class:`dynet.implicit.study.Result`."""
    from ..implicit.study import study

    return study(built.networks, built.images, built.settings, progress)


def write(stage, result):
    """The tables, the logs and the networks of a study, into the folder of a run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["network", "what", "eps_or_fraction", "fraction_right"])
    writer.writerows([name, kind, f"{at:g}", f"{value:.6g}"] for name, kind, at, value in result.rows())
    (stage / "study.csv").write_text(text.getvalue(), encoding="utf-8")
    (stage / "training").mkdir()
    (stage / "networks").mkdir()
    for name, history in result.histories.items():
        history.save(stage / "training" / f"{name}.csv")
        history.net.save(stage / "networks" / f"{name}.npz")


TEMPLATE = """\
# Networks trained on images, attacked, certified and pruned.
# Run it with: dynet run FILE.toml, or on MNIST: dynet run FILE.toml --set data=mnist --data FOLDER

title = "My first study"
data = "digits"  # 8 by 8 pixels, in the package; or "mnist"

[[network]]
name = "plain"
# kind = "implicit"  # or "explicit", two layers of as many units
# states = 40
# epochs = 100
# penalty = 0.0  # weight of the Lipschitz bound in the loss

[[network]]
name = "robust"
eps = 0.1  # trained for the worst case in boxes of this half-width

[study]
eps = [0.0, 0.02, 0.05, 0.1, 0.2]
attacks = ["uniform", "inversion", "fgsm", "pgd"]
certificates = ["interval", "gain", "lipschitz"]
kept = [1.0, 0.5, 0.25, 0.1]  # fractions of the couplings that stay when a network is pruned

[[figure]]
kind = "attacks"
network = "robust"

[[figure]]
kind = "networks"

[expect]  # network.quantity
"robust.accuracy" = { min = 0.85 }
"robust.contradictions" = 0
"""
