"""Training of implicit networks on full MNIST: error, certified accuracy and seconds, beside what they should be.

Run it with the folder of MNIST in DYNET_DATA; arguments are seeds (default 0), and the words "clean" and "certified" (default
both):

    DYNET_DATA=FOLDER python tests/bench/bench_training.py 0 1 2 clean
"""

import sys

import numpy as np

import dynet as dn
from dynet.implicit import certified, fit, load


def clean(mnist, seed):
    """Forty epochs; the thirteenth is one of them."""
    history = train(mnist, seed, decay=0.1)
    error = 100 * (1 - history["validation"])
    found = history.net.solve(mnist.test.astype(float), 1e-8)
    row("clean", seed, "error after 13 epochs, %", error[12], "<= 1.9")
    row("clean", seed, "error after 40 epochs, %", error[-1], "<= 1.8")
    row("clean", seed, "largest residual of a step", history["residual"].max(), "<= 1e-4")
    row("clean", seed, "largest residual of the test", found.residual.max(), "<= 1e-8")
    times("clean", seed, history, "<= 1.2")


def proven(mnist, seed):
    """Forty epochs with the worst case phased in, certified in boxes that are cut to the range of pixels."""
    history = train(mnist, seed, eps=0.142, kappa=0.33)
    row("certified", seed, "right, %", 100 * history["validation"][-1], ">= 95.5")
    for eps, wanted in ((0.01, ""), (0.05, ""), (0.1, ">= 83.7"), (0.2, ">= 12"), (0.3, "")):
        share = certified(history.net, mnist.test, mnist.test_labels, eps)
        row("certified", seed, f"proven at eps {eps}, %", 100 * share, wanted)
    times("certified", seed, history, "<= 5")


def train(mnist, seed, **options):
    net = dn.ImplicitNetwork.random(784, 100, 10, gamma=0.0, seed=seed)
    return fit(
        net, mnist.train, mnist.train_labels, epochs=40, seed=seed, validation=(mnist.test, mnist.test_labels), **options
    )  # fmt: skip


def times(kind, seed, history, wanted):
    row(kind, seed, "seconds per epoch, wall", np.median(history["seconds"]), wanted)
    row(kind, seed, "seconds per epoch, processor", np.median(history["processor_seconds"]), wanted)


def row(kind, seed, what, value, wanted):
    print(f"{kind:<10} seed {seed}  {what:<32} {value:>10.4g}  {wanted}", flush=True)


if __name__ == "__main__":
    words = sys.argv[1:]
    data, seeds = load("mnist"), [int(word) for word in words if word.isdigit()] or [0]
    for kind, run in (("clean", clean), ("certified", proven)):
        if kind in words or not {"clean", "certified"} & set(words):
            for seed in seeds:
                run(data, seed)
