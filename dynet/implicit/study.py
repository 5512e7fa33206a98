r"""A study: several networks trained on the same images, attacked, certified and pruned in the same way.

The numbers of a study have names of the form ``network.quantity``:

- ``accuracy`` on the test images, ``loss`` and ``accuracy_train`` of the last epoch, ``lipschitz``, ``residual`` (the
  largest of the training), ``evaluation_residual`` (of the test images), ``parameters``, ``seconds_per_epoch``;
- ``pgd@0.1``, ``interval@0.1`` and so on: the fraction of the images that an attack leaves right, or a certificate
  proves, at that size of the disturbance;
- ``accuracy@kept0.25``: of the network that keeps a quarter of its couplings, and ``mu_rise``, by how much pruning
  raised its log norm at most (never above 0);
- ``contradictions``: images that are certified and that some attack broke all the same; anything but 0 is a defect.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from . import regularize
from .augment import Augment, pad
from .explicit import ExplicitNetwork
from .robustness import ATTACKS, outcomes, outputs
from .train import fit

__all__ = ["CERTIFICATES", "QUANTITIES", "RECIPES", "Result", "Settings", "study"]

CERTIFICATES = ("interval", "gain", "lipschitz")

#: What a network of a study is and how it is trained, for each data set, where the study does not say.
RECIPES = {
    "digits": {"states": 40, "epochs": 100, "batch": 100, "lr": 5e-3},
    "mnist": {"states": 100, "epochs": 40, "batch": 100, "lr": 5e-3, "decay": 0.1},
}

QUANTITIES = (
    "accuracy", "accuracy_train", "loss", "lipschitz", "residual", "evaluation_residual", "parameters", "seconds_per_epoch",
    "contradictions", "mu_rise",
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What is done with every network.

    Attributes
    ----------
    eps : tuple of float
        Sizes of the disturbance.
    attacks, certificates : tuple of str
    steps, restarts : int
        Of PGD.
    samples : int or None
        Of the test images, for attacks and certificates; all of them where None.
    kept : tuple of float
        Fractions of the couplings that stay when a network is pruned.
    seed : int
    """

    eps: tuple = (0.0, 0.02, 0.05, 0.1, 0.2)
    attacks: tuple = ATTACKS
    certificates: tuple = CERTIFICATES
    steps: int = 20
    restarts: int = 1
    samples: int | None = None
    kept: tuple = ()
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Result:
    """What :func:`study` returns.

    Attributes
    ----------
    networks, histories : dict
        By the networks' names.
    curves : dict of dict of ndarray
        Network -> attack or certificate -> fractions, one for each eps.
    kept : dict of ndarray
        Network -> accuracy for each fraction of couplings kept.
    numbers : dict of str to float
    settings : Settings
    options : dict of dict
        Network -> how it was made.
    """

    networks: dict
    histories: dict
    curves: dict
    kept: dict
    numbers: dict
    settings: Settings = field(repr=False)
    options: dict = field(repr=False)

    def rows(self):
        """The table of all curves: (network, attack or certificate, eps, fraction), and pruned ones as ``kept``."""
        for name, curves in self.curves.items():
            for kind, values in curves.items():
                yield from (
                    (name, kind, size, value) for size, value in zip(self.settings.eps, values.tolist(), strict=True)
                )
            if name in self.kept:
                pairs = zip(self.settings.kept, self.kept[name].tolist(), strict=True)
                yield from ((name, "kept", fraction, value) for fraction, value in pairs)

    def __str__(self):
        eps = self.settings.eps
        wide = max(len(name) for name in self.networks)
        lines = [f"{'':<{wide}}  {'percent at eps':<12}" + "".join(f"{size:>8g}" for size in eps)]
        for name, curves in self.curves.items():
            for k, (kind, values) in enumerate(curves.items()):
                lines.append(
                    f"{name if not k else '':<{wide}}  {kind:<14}" + "".join(f"{100 * v:>8.1f}" for v in values)
                )
        return "\n".join(lines)


def study(networks, images, settings, progress=None):
    """Train networks, attack, certify and prune them.

    Parameters
    ----------
    networks : dict of str to dict
        Name -> ``kind`` ("implicit" or "explicit"), ``states``, ``gamma``, ``shift`` (pixels by which training images are
        moved at random) and what :func:`dynet.implicit.fit` takes.
    images : Images
    settings : Settings
    progress : callable, optional
        Called with the fraction that is done.

    Returns
    -------
    Result

    Examples
    --------
    >>> from dynet.implicit import load
    >>> from dynet.implicit.study import Settings, study
    >>> networks = {"small": {"kind": "implicit", "states": 8, "epochs": 2}}
    >>> result = study(networks, load("digits"), Settings(eps=(0.0, 0.1), attacks=("pgd",), samples=20))
    >>> result.numbers["small.contradictions"], result.curves["small"]["interval"].shape
    (0, (2,))
    """
    found = Result({}, {}, {}, {}, {}, settings, {})
    U, labels = images.test[: settings.samples], images.test_labels[: settings.samples]
    for k, (name, given) in enumerate(networks.items()):
        options = {"kind": "implicit", "gamma": 0.0, "seed": settings.seed, "shift": 0, **RECIPES[images.name], **given}
        found.options[name] = options

        def report(done, k=k):
            if progress is not None:
                progress((k + done) / len(networks))

        history = _trained(options, images, lambda done, report=report: report(0.7 * done))
        found.networks[name], found.histories[name] = history.net, history
        stay = outcomes(
            history.net, U, labels, settings.eps, attacks=settings.attacks, certificates=settings.certificates,
            steps=settings.steps, restarts=settings.restarts, seed=settings.seed,
        )  # fmt: skip
        found.curves[name] = {kind: right.mean(axis=1) for kind, right in stay.items()}
        report(0.9)
        _measure(found, name, images, stay)
        report(1.0)
    return found


def build(options, images):
    """The network that training starts from."""
    inputs, states, seed = images.train.shape[1], options["states"], options["seed"]
    if (
        options["kind"] == "explicit"
    ):  # two layers of as many units have as many parameters as one layer that sees itself
        return ExplicitNetwork.random((inputs, states, states, images.classes), seed)
    from .network import ImplicitNetwork

    return ImplicitNetwork.random(inputs, states, images.classes, gamma=options["gamma"], seed=seed)


def _trained(options, images, progress):
    training = {k: v for k, v in options.items() if k not in ("kind", "states", "gamma", "shift")}
    U, shift, augment = images.train, options["shift"], None
    if options["kind"] == "implicit":
        training["gamma"] = options["gamma"]
    if shift:
        U = pad(U, images.shape, shift)
        augment = Augment(tuple(size + 2 * shift for size in images.shape), images.shape, mirror=False)
    return fit(build(options, images), U, images.train_labels, augment=augment, progress=progress, **training)


def _measure(found, name, images, stay):
    """The numbers of one network, and its pruned relatives."""
    net, history, settings = found.networks[name], found.histories[name], found.settings
    test = images.test.astype(float)
    numbers = {
        "accuracy": float(np.mean(outputs(net, test).argmax(axis=1) == images.test_labels)),
        "accuracy_train": float(history["accuracy"][-1]) if len(history.log) else float("nan"),
        "loss": float(history["loss"][-1]) if len(history.log) else float("nan"),
        "lipschitz": net.lipschitz(),
        "residual": float(history["residual"].max(initial=0.0)),
        "seconds_per_epoch": float(history["seconds"].mean()) if len(history.log) else 0.0,
    }
    if isinstance(net, ExplicitNetwork):
        numbers["parameters"] = net.parameters
    else:
        numbers["parameters"] = net.A.size + net.B.size + net.C.size + net.n + net.outputs
        numbers["evaluation_residual"] = float(net.solve(test, 1e-8).residual.max())
    broken = np.zeros(len(stay[next(iter(stay))][0]), dtype=bool)
    contradictions = np.zeros_like(broken)
    for k in range(len(settings.eps)):
        broken = np.zeros_like(broken)
        for attack in settings.attacks:
            broken |= ~stay[attack][k]
        for certificate in settings.certificates:
            contradictions |= stay[certificate][k] & broken
    numbers["contradictions"] = int(np.count_nonzero(contradictions))
    for kind, curve in found.curves[name].items():
        numbers |= {f"{kind}@{size:g}": float(value) for size, value in zip(settings.eps, curve, strict=True)}
    if settings.kept and not isinstance(net, ExplicitNetwork):
        pruned = regularize.sparsity(net, test, images.test_labels, settings.kept, images.train[:1000].astype(float))
        found.kept[name] = np.array([value for _, value in pruned])
        numbers |= {f"accuracy@kept{f:g}": value for f, (_, value) in zip(settings.kept, pruned, strict=True)}
        numbers["mu_rise"] = max(small.mu - net.mu for small, _ in pruned)
    found.numbers.update({f"{name}.{key}": value for key, value in numbers.items()})
