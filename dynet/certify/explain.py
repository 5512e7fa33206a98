"""A certificate in words: the summary that it prints, and the explanation with rows, slack and theorem."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["summary", "text", "verdict"]

_INEQUALITIES = {
    "rows": "d_i + sum_j m_ij eta_j / eta_i <= osLip for every row i of every majorant M of the {matrix}",
    "diagonal": "(P M + M' P) v <= 2 osLip P v with v > 0, for the majorant M of the {matrix}",
    "quadratic": "osLip P - (P E + E' P)/2 - N' H N / 4 is positive definite",
    "criterion": "[[2 osLip P - P E0 - E0' P, -(P F + G' [h l])], [., 2 [l]]] is positive definite, l > 0",
    "vertices": "osLip P - (P J + J' P)/2 is positive definite at each vertex J of the {matrix}",
    "monotone": "the Jacobian is Metzler for all slopes, and its weighted {sums} are 0",
    "range": "J xi = lambda xi, and lambda - min over pairs i, j of a_ij + a_ji + sum_k min(a_ik, a_jk) <= osLip",
    "ergodic": "mu(Df) - delta(W) <= osLip, with delta(W) the ergodic coefficient of the graph",
    "spectral": "mu(Df - l Inner) <= osLip in l2 with P, l below the second eigenvalue of L, P Inner + Inner' P >= 0",
    "alpha": "(1 - s) mu(J[k]) + s mu(J[k+1]) <= osLip, each of them bounded by a claim of its own",
    "interconnection": "Gamma eta <= osLip eta for the matrix of the parts' rates and the gains between them",
}
_MATRICES = {"contraction": "Jacobian", "semi": "reduced Jacobian R J S", "k": "additive compound of the Jacobian"}
_GAINS = "Davydov, Jafarpour, Bullo, arXiv:2103.12263 (interconnections of contracting systems)"
_THEOREMS = {
    "strong": "all trajectories approach each other at the rate; there is one equilibrium (a periodic trajectory under "
    "periodic forcing), and it attracts everything",
    "weak": "distances never grow; for a time-invariant field either no equilibrium exists and all trajectories are "
    "unbounded, or one exists and all are bounded",
    "semi": "the seminorm of the difference of any two trajectories decays at the rate",
    "k": "volumes of dimension k shrink at the rate",
    "alpha": "every compact invariant set has a Hausdorff dimension below the order",
}
_SOURCES = {
    "rows": "Davydov, Proskurnikov, Bullo, arXiv:2110.08298 (maximum of the log norm over all slopes)",
    "diagonal": "Davydov, Jafarpour, Bullo, arXiv:2103.12263 (monotone norms and Metzler majorants)",
    "quadratic": "Centorrino, Gokhale, Davydov, Russo, Bullo, arXiv:2302.13452 (Euclidean contractivity)",
    "criterion": "Boyd, El Ghaoui, Feron, Balakrishnan, SIAM 1994, chapter 8 (the circle criterion)",
    "vertices": "Davydov, Jafarpour, Bullo, arXiv:2103.12263 (the log norm is convex)",
    "monotone": "Jafarpour, Cisneros-Velarde, Bullo, IEEE TAC 67(3), 2022 (monotone fields with a law)",
    "range": "De Pasquale, Smith, Bullo, Valcher, arXiv:2201.03103 (ergodic coefficients)",
    "interconnection": _GAINS,
    "ergodic": "Jafarpour, Cisneros-Velarde, Bullo, IEEE TAC 67(3), 2022 (diffusively coupled systems)",
    "spectral": "Jafarpour, Cisneros-Velarde, Bullo, IEEE TAC 67(3), 2022 (diffusively coupled systems)",
    "alpha": "Wu, Pines, Margaliot, Slotine, IEEE TAC 67(9), 2022 (alpha compounds)",
}
_OTHER_SOURCES = {
    "semi": "Jafarpour, Cisneros-Velarde, Bullo, IEEE TAC 67(3), 2022 (semi-contraction)",
    "k": "Wu, Kanevskiy, Margaliot, Automatica 136, 2022 (k-contraction)",
}


def verdict(certificate):
    """The claim in two or three words."""
    c = certificate
    if not c:
        return "not shown to be contracting"
    words = {"strong": "strongly contracting", "weak": "weakly contracting", "semi": "semi-contracting"}
    return words[c.kind] if c.kind in words else f"{c.order:.9g}-contracting"


def rate_text(rate):
    """A rate in six digits that does not say more than was proven (beyond the ninth digit).

    >>> rate_text(0.24093519), rate_text(0.2409349), rate_text(0.5 - 1e-15), rate_text(-0.0843783)
    ('0.240935', '0.240934', '0.5', '-0.0843783')
    """
    text = f"{rate:.6g}"
    excess = float(text) - rate
    if not math.isfinite(rate) or excess <= 1e-9 * abs(rate):
        return text
    return f"{float(text) - 10.0 ** (math.floor(math.log10(abs(rate))) - 5):.6g}"


def no_better(floor, of=" of this p"):
    """What a lower bound says, in words."""
    words = {"spectrum": "no norm does better", "dual": "no P does better"}
    return words.get(getattr(floor, "kind", ""), f"no other diagonal weights{of} do better")


def summary(certificate):
    """What a certificate prints: rate, norm, bound, region, status, reason."""
    c = certificate
    lines = [f"Certificate: {c.model} is {verdict(c)}"]
    if c.norm is not None:
        lower, upper = c.bounds
        tight = upper - lower <= 1e-6 * (1 + abs(upper))
        least = f" ({no_better(c.floor, '')})" if tight else ""
        if not tight and getattr(c.floor, "kind", "") in ("spectrum", "dual"):
            least = f" ({no_better(c.floor).replace('does better', f'reaches less than {lower:.6g}')})"
        rate = rate_text(c.rate)
        opposite = rate[1:] if rate[0] == "-" else rate if float(rate) == 0 else f"-{rate}"
        lines += [
            f"  rate    {rate}",
            f"  norm    {c.norm}",
            f"  osLip   <= {opposite}{least}",
            f"  region  {c.region}",
        ]
    if c.law is not None:
        lines.append(f"  law     {c.law}")
    lines += [f"  status  {c.status}", f"  why     {c.reason}"]
    return "\n".join(lines)


def parts(certificate, exact=False):
    """What a check of a certificate proves, and what it takes on trust."""
    c = certificate
    if not c:
        return {"rate": "nothing to check"}
    found = {"rate": "proven" if c.check(exact) else "FAILED"}
    if c.law is not None:
        found["law"] = "proven, exactly, with the rate" if found["rate"] == "proven" else "FAILED"
    if c.bounds[0] == -math.inf:
        found["lower bound"] = "none is stated"
    elif c.floor is None and not (c.law is not None and c.kind == "weak"):
        found["lower bound"] = "stated by the search, without a witness"
    else:
        found["lower bound"] = "proven" if c.check_lower(exact) else "FAILED"
    found["numbers"] = "carried; whose field they are is proven from the model only"
    found["region"] = "whole space" if c.region == "whole space" else "as stated; not checked here"
    return found


def text(certificate, rows=5):
    """The inequality, the rows that bind, what follows and from which paper."""
    c = certificate
    lines = [str(c), ""]
    if c.claim is None:
        return "\n".join([*lines, c.reason])
    gains = c.claim.structure.form == "gain"
    matrix = "matrix of gains" if gains else _MATRICES.get(c.claim.proves, "Jacobian")
    sums = "row sums" if getattr(c.claim, "p", 0) != 1 else "column sums"
    lines.append("claim: " + _INEQUALITIES[c.claim.kind].format(matrix=matrix, sums=sums))
    if hasattr(c.claim, "quotients"):
        quotients = c.claim.quotients()
        name = row_names(c) if c.claim.kind == "interconnection" else str
        lines.append(f"rows closest to the bound {-c.rate:.6g}:")
        for i in np.argsort(-quotients, kind="stable")[:rows]:
            lines.append(f"  row {name(i):>6}   value {quotients[i]: .6g}   slack {-c.rate - quotients[i]:.3g}")
    if c.claim.kind == "alpha":
        for part, bound in zip(c.claim.parts, c.claim.bounds, strict=True):
            lines.append(f"  k = {part.structure.k}: mu <= {bound:.6g}")
    if c:
        extra = ""
        if c.kind == "k" and c.order == 2:
            extra = (
                "; in a compact convex invariant set of a time-invariant field all trajectories converge to equilibria"
            )
        lines.append(f"then: {_THEOREMS[c.kind]}{extra}")
    source = _SOURCES[c.claim.kind] if c.claim.kind == "range" else _OTHER_SOURCES.get(c.kind, _SOURCES[c.claim.kind])
    source = _GAINS if gains else source
    lines.append(f"source: {source}")
    return "\n".join(lines)


def row_names(certificate):
    """A function from the number of a row of the claim to its name: the label of the state where the model is at hand."""
    c = certificate
    n = c.claim.structure.n
    labels = getattr(c.source, "labels", None)
    if c.claim.kind == "interconnection" and c.source is not None:
        labels = [leaf.name for leaf in c.source.leaves()]
    if labels is not None and c.claim.proves == "contraction" and len(labels) == n:
        return lambda i: labels[i]
    return str
