r"""Training: mini-batches, Adam, schedules, the ramp of the worst case, checkpoints.

The loss is that of :mod:`dynet.implicit.learner`. Training for certified accuracy first runs clean, then raises
:math:`\varepsilon` and :math:`\kappa` linearly to their ends, then stays there. The network that comes out is an
average of those on the way (:math:`q \leftarrow q + (1 - a)(p - q)` after each step), which is better than the last one
while the rate is still high, and close to it afterwards.

The bits of a run follow from the network, the data, the arguments and the seed: epoch e shuffles with the seed (seed,
e), batch k drops and augments with (seed, e, k), and products run on one thread, where
the order of summation is fixed (for one machine and one version of its library).

References
----------
B. T. Polyak, A. B. Juditsky, Acceleration of stochastic approximation by averaging, SIAM Journal on Control and
Optimization 30, 1992. Gowal et al., arXiv:1810.12715 (the ramp).
"""

from __future__ import annotations

import hashlib
import time

import numpy as np

from ..engine.progress import Done, show
from ..engine.training import kernels
from ..errors import ArgumentError
from . import augment as augmentation
from .history import COLUMNS, Checkpoint, History
from .optimize import Adam, factor
from .plan import check_network, make, read_samples

__all__ = ["fit"]


def fit(
    net, U, labels, *, epochs, batch=100, lr=5e-3, penalty=0.0, eps=0.0, kappa=0.5, seed=0, device="cpu", progress=None,
    schedule="one_cycle", clean=0.05, ramp=0.45, average=0.999, decay=0.01, dropout=0.0, edge_dropout=0.0, sparse=False,
    pixels=(0.0, 1.0), gamma=None, augment=None, validation=None, patience=None, checkpoint=None, tol=1e-4,
):  # fmt: skip
    r"""Train a network to classify, keeping its log norm below a bound all the way.

    Parameters
    ----------
    net : ImplicitNetwork or ExplicitNetwork
        Where to start; it is not changed.
    U : array_like, shape (samples, inputs)
        Images, one in each row.
    labels : array_like of int, shape (samples,)
        From 0 to ``net.outputs - 1``.
    epochs, batch : int
        An epoch visits every sample once, but for the few that do not fill the last batch.
    lr : float
        The largest rate of Adam.
    penalty : float
        Weight of the bound on the Lipschitz constant in the loss.
    eps, kappa : float
        Half-width of the box around an image and weight of the worst case in it, at the end of their ramp.
    seed : int
        Of the order of samples, dropout and augmentation.
    device : str
        ``"cpu"``.
    progress : callable or True, optional
        Called with the fraction that is done after each epoch; True writes a line.
    schedule : str or callable
        See :data:`dynet.implicit.optimize.SCHEDULES`.
    clean, ramp : float
        Fractions of the epochs without the worst case, and during which it is phased in.
    average : float
        Of the running average of the parameters, which becomes the network; 0 for the last parameters.
    decay : float
        Of the weights, in units of the rate.
    dropout, edge_dropout : float
        Probability with which a unit or a coupling is left out of a batch; what comes out has its couplings shrunk by
        as much. Both keep the log norm below its bound.
    sparse : bool
        Entries of A, B and C that are zero stay zero: to train what :func:`dynet.implicit.prune` returned.
    pixels : tuple of float
        The range that the box is cut to, where `eps` is used; ``(-inf, inf)`` leaves it whole.
    gamma : float, optional
        Bound on the log norm, at least the network's own and below 1; by default the larger of its own and 0.
    augment : Augment, optional
        Makes each batch from larger images; the rows of `U` are then those.
    validation : (array_like, array_like), optional
        Images and labels on which each epoch's network is measured.
    patience : int, optional
        Stop after this many epochs without a better accuracy on the validation set, and return the best network.
    checkpoint : path, optional
        A file in which each epoch is stored, and from which a run that was stopped goes on with the same bits.
    tol : float
        Largest entry of the residual of a fixed point; of the adjoint, relative to what it starts from.

    Returns
    -------
    History

    Raises
    ------
    ArgumentError
        For shapes that do not fit, labels out of range, numbers that are not finite or out of range, or a checkpoint of
        another network or another training.

    Examples
    --------
    >>> import dynet as dn
    >>> digits = dn.implicit.load("digits")
    >>> net = dn.ImplicitNetwork.random(64, 20, 10, gamma=0.0, seed=1)
    >>> history = dn.implicit.fit(net, digits.train, digits.train_labels, epochs=10, seed=1)
    >>> bool(history["accuracy"][-1] > 0.9), history.net.mu <= 1e-12
    (True, True)
    """
    if device != "cpu":
        raise ArgumentError("device", device, "cpu: training does not run anywhere else")
    check_network(net)
    outputs = net.outputs
    wide = net.inputs if augment is None else augment.pixels
    U, labels = read_samples("U", U, labels, wide, outputs)
    if validation is not None:
        if not isinstance(validation, (tuple, list)) or len(validation) != 2:
            raise ArgumentError("validation", validation, "images and their labels, (U, labels)")
        validation = read_samples("validation", *validation, net.inputs, outputs)
    plan = make(
        epochs, batch, lr, schedule, penalty, eps, kappa, clean, ramp, average, decay, dropout, edge_dropout, sparse,
        gamma, tol, seed, patience, tuple(pixels), samples=len(U),
    )  # fmt: skip
    if plan.eps > 0.0 and not (plan.pixels[0] <= U.min() and U.max() <= plan.pixels[1]):
        raise ArgumentError(
            "pixels", pixels, f"a range that holds all pixels, which go from {U.min():.6g} to {U.max():.6g}"
        )
    if plan.patience is not None and validation is None:
        raise ArgumentError("patience", patience, "None, or a validation set to be patient with")
    if augment is not None and augment.inputs != net.inputs:
        raise ArgumentError("augment", augment, f"crops of {net.inputs} numbers, the inputs of the network")
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return _Run(net, U, labels, plan, augment, validation, checkpoint).go(show if progress is True else progress)


def trainable(net, plan, shift, scale):
    """The trainable form of a network."""
    from .explicit import ExplicitLearner, ExplicitNetwork

    if isinstance(net, ExplicitNetwork):
        if plan.dropout or plan.edge_dropout:
            raise ArgumentError("dropout", plan.dropout or plan.edge_dropout, "0 for an explicit network")
        return ExplicitLearner(net, shift=shift, scale=scale, sparse=plan.sparse, pixels=plan.pixels)
    from .general import GeneralLearner
    from .learner import ImplicitLearner

    if not net.well_posed:
        raise ArgumentError("net", net, "a well-posed network: training keeps it so, and cannot start without")
    gamma = max(net.mu, 0.0) if plan.gamma is None else plan.gamma
    kind = ImplicitLearner if net.activation.name == "relu" else GeneralLearner
    return kind(
        net, gamma=gamma, shift=shift, scale=scale, tol=plan.tol, sparse=plan.sparse, dropout=plan.dropout,
        edge_dropout=plan.edge_dropout, pixels=plan.pixels,
    )  # fmt: skip


class _Run:
    """One training from its start or its checkpoint to its end."""

    def __init__(self, net, U, labels, plan, augment, validation, checkpoint):
        self.net, self.U, self.labels, self.plan = net, U, labels, plan
        self.augment, self.validation = augment, validation
        shift = float(U.mean(dtype=float))
        scale = max(float(np.einsum("ij,ij->i", U, U).sum(dtype=float)) / U.size - shift * shift, 0.0) ** 0.5
        self.learner = trainable(net, plan, shift, scale if scale > 1e-3 else 1.0)
        self.adam = Adam(self.learner.params, decay=plan.decay)
        self.mean = {name: p.copy() for name, p in self.learner.params.items()}
        self.best, self.best_score, self.best_epoch = self.mean, -1.0, 0
        self.rows, self.batches = [], len(U) // plan.batch
        self.file = None
        if checkpoint is not None:
            run = _sha(repr(plan), U, labels, repr(augment), *(() if validation is None else validation))
            start = _sha(type(net).__name__, *_parts(net))
            self.file = Checkpoint(checkpoint, start, run)
            self._resume(self.file.load())

    def go(self, progress):
        plan, status = self.plan, "finished"
        reason = "all epochs done"
        started = time.monotonic()
        while len(self.rows) < plan.epochs:
            if self._is_patient_no_more():
                break
            before = {name: p.copy() for name, p in self.mean.items()}
            row, wrong = self._epoch(len(self.rows))
            if wrong:
                last = f"the network is that of epoch {len(self.rows)}" if self.rows else "the network is the one given"
                kept = f", which {self.file.path} holds" if self.file and self.rows else ""
                self.mean, status = before, "diverged"
                reason = f"{wrong} in epoch {len(self.rows) + 1}; {last}{kept}: try a smaller lr"
                break
            self.rows.append(row)
            if row[_AT["validation"]] > self.best_score:
                self.best_score, self.best_epoch = row[_AT["validation"]], len(self.rows)
                self.best = {name: p.copy() for name, p in self.mean.items()}
            if self.file is not None:
                self.file.store(self._arrays())
            if progress is not None:
                progress(Done(len(self.rows) / plan.epochs, time.monotonic() - started))
        if status == "finished" and self._is_patient_no_more():
            self.mean, status = self.best, "stopped early"
            reason = (
                f"no better on the validation set for {plan.patience} epochs; the network is that of {self.best_epoch}"
            )
        log = np.array(self.rows, dtype=float).reshape(-1, len(COLUMNS))
        net = self.net if not self.rows else self._network()
        return History(net, status, reason, log)

    def _is_patient_no_more(self):
        return self.plan.patience is not None and len(self.rows) - self.best_epoch >= self.plan.patience

    def _network(self):
        """The network of the averaged parameters."""
        now, self.learner.params = self.learner.params, self.mean
        try:
            return self.learner.network()
        finally:
            self.learner.params = now

    def _epoch(self, epoch):
        """One epoch: its row of the log, and what went wrong or None."""
        plan, learner = self.plan, self.learner
        clock, processor = time.perf_counter(), time.process_time()
        order = np.random.default_rng([plan.seed, epoch]).permutation(len(self.U))[: self.batches * plan.batch]
        chosen = order.reshape(self.batches, plan.batch)
        sums, largest, eps, kappa, rate = np.zeros(4), 0.0, 0.0, 0.0, 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            for k, U in enumerate(self._images(chosen, epoch)):
                done = (epoch * self.batches + k) / (plan.epochs * self.batches)
                eps, kappa = self._worst_case(done)
                rate = plan.lr * factor(plan.schedule, done)
                drops = plan.dropout or plan.edge_dropout
                rng = np.random.default_rng([plan.seed, epoch, k]) if drops else None
                step = learner.step(U, self.labels[chosen[k]], eps=eps, kappa=kappa, penalty=plan.penalty, rng=rng)
                if not np.isfinite(step.loss):
                    return None, "the loss became infinite"
                if not step.residual <= plan.tol:
                    return None, f"the fixed point was not found (residual {step.residual:.2g})"
                self.adam.step(learner.params, step.gradients, rate)
                self._follow()
                sums += (step.loss, step.correct, step.iterations, step.adjoint_iterations)
                largest = max(largest, step.residual)
        if not all(np.isfinite(p).all() for p in learner.params.values()):
            return None, "the parameters became infinite"
        net = self._network()
        score = np.nan
        if self.validation is not None:
            score = float(np.mean(net(self.validation[0].astype(float)).argmax(axis=1) == self.validation[1]))
        sums[1] /= plan.batch
        row = (
            epoch + 1, *(sums / self.batches), largest, net.lipschitz(), rate, eps, kappa, score,
            time.perf_counter() - clock, time.process_time() - processor,
        )  # fmt: skip
        return row, None

    def _images(self, chosen, epoch):
        if self.augment is None:
            return (self.U[rows] for rows in chosen)
        seeds = [[self.plan.seed, epoch, k, 1] for k in range(len(chosen))]
        return augmentation.ahead(self.augment, self.U, chosen, seeds)

    def _worst_case(self, done):
        """eps and kappa when a fraction of the training is done."""
        plan = self.plan
        if plan.eps == 0.0 or done < plan.clean:
            return 0.0, 0.0
        part = 1.0 if plan.ramp == 0.0 else min(1.0, (done - plan.clean) / plan.ramp)
        return plan.eps * part, plan.kappa * part

    def _follow(self):
        steps = self.adam.steps
        share = 1.0 - min(self.plan.average, steps / (10.0 + steps)) if self.plan.average else 1.0
        for name, p in self.learner.params.items():
            kernels().follow(self.mean[name].reshape(-1), p.reshape(-1), p.dtype.type(share))

    def _arrays(self):
        groups = {
            "p": self.learner.params,
            "m": self.adam.first,
            "v": self.adam.second,
            "q": self.mean,
            "best": self.best,
        }
        arrays = {f"{group}.{name}": p for group, found in groups.items() for name, p in found.items()}
        counts = np.array([self.adam.steps, self.best_epoch, self.best_score])
        return {**arrays, "counts": counts, "log": np.array(self.rows)}

    def _resume(self, found):
        if found is None:
            return
        self.best = {name: p.copy() for name, p in self.mean.items()}
        for name, array in self._arrays().items():
            if name not in ("counts", "log"):
                array[...] = found[name]
        steps, epoch, self.best_score = found["counts"].tolist()
        self.adam.steps, self.best_epoch = int(steps), int(epoch)
        self.rows = [tuple(row) for row in found["log"].tolist()]


_AT = {name: k for k, name in enumerate(COLUMNS)}


def _parts(net):
    """All arrays of a network, and what else it is."""
    if hasattr(net, "matrices"):
        return (*net.matrices, *net.offsets)
    arrays = [net.exact(name) for name in "ABC"]
    return (
        net.activation.name,
        *(a if isinstance(a, np.ndarray) else a.toarray() for a in arrays),
        net.b,
        net.d,
        net.weights,
    )


def _sha(*facts):
    digest = hashlib.sha256()
    for fact in facts:
        digest.update(fact.encode() if isinstance(fact, str) else np.ascontiguousarray(fact).tobytes())
    return digest.hexdigest()
