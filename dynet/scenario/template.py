"""What ``dynet new`` and ``dynet models`` print: a commented scenario for each kind of model, and the list of the kinds.

Both are read off the classes themselves: the keys are the arguments of a model, their values its defaults, and the comments
the lines of its docstring. Only what a docstring cannot tell stands here, such as a matrix for which the model contracts.
"""

from __future__ import annotations

import inspect
import re
import textwrap

from ..errors import ArgumentError
from . import toml
from .tables import QUANTITIES, keywords

__all__ = ["catalogue", "template"]

_GRAPH = """
[graph]  # or name = "karate_club", or file = "my_graph.graphml" (also .gml, .edgelist, .csv, .mtx, .npz)
generator = "watts_strogatz_graph"
args = { n = 30, k = 4, p = 0.1, seed = 1 }
"""

#: Values with which a kind of model contracts, or shows what it is known for, instead of its defaults.
_START = {
    "firing_rate": {"weight": 0.12},
    "hopfield": {"weight": 0.12},
    "persidskii": {"coupling": [[-2.0, 1.0], [0.5, -1.0]], "activation": "leaky_relu(0.5)"},
    "linear_minus_monotone": {"coupling": [[-1.0, 0.5], [0.5, -1.0]]},
    "lotka_volterra": {"coupling": [[-2.0, 0.5], [0.5, -1.0]]},
    "gradient_flow": {"Q": [[2.0, 0.5], [0.5, 1.0]]},
    "primal_dual": {"Q": [[1.0, 0.0], [0.0, 2.0]], "K": [[1.0, 1.0]], "b": 1.0},
    "social_power": {"interactions": [[0.0, 0.5, 0.5], [0.3, 0.0, 0.7], [0.6, 0.4, 0.0]]},
    "friedkin_johnsen": {"influence": [[0.5, 0.5], [0.2, 0.8]], "susceptibility": 0.5, "start": [0.0, 1.0]},
    "power_grid": {"case": "case.m"},
    "hebbian": {"learning": [[0.0, 1.0, 0.0], [-1.0, 0.0, 0.5], [0.0, 0.5, 0.0]]},
}
#: The keys of [certify], as comments.
_CERTIFY = (
    '# norm = "inf"  # 1, 2 or inf; the best of the three when it is not given',
    '# kind = "auto"  # or strong, weak, semi, k, alpha',
    "# order = 2  # the dimension of the volumes, for the kinds k and alpha",
    "# region = { box = [-1.0, 1.0] }  # or ball = { center = 0.0, radius = 1.0 }, orthant = true, simplex = 1.0, phases = 1.0",
)
_CONTRACTS = ("firing_rate", "hopfield", "persidskii", "linear_minus_monotone")
#: Kinds whose states are fractions or amounts: they start around this value, not around 0.
_AROUND = {"sis": 0.3, "sir": 0.3, "seir": 0.2, "lotka_volterra": 1.0}

#: Kinds whose states lie on a simplex: they start here.
_WHERE = {"social_power": [[0.6, 0.2, 0.2], [0.1, 0.8, 0.1]]}


def template(kind):
    """A scenario for a kind of model, with comments, that runs as it stands.

    Parameters
    ----------
    kind : str
        A key of :data:`dynet.models.KINDS`, or ``"study"`` for networks trained on images.

    Returns
    -------
    str
        TOML.

    Raises
    ------
    ArgumentError
        For an unknown kind.

    Examples
    --------
    >>> print(template("lorenz").splitlines()[0])
    # Lorenz: x' = sigma (y - x), y' = x (rho - z) - y, z' = x y - beta z
    """
    if kind == "study":
        from .training import TEMPLATE

        return TEMPLATE
    model = _known(kind, "study")
    parameters, start = keywords(model), dict(_START.get(kind, {}))
    on_graph = "coupling" in parameters and "coupling" not in start
    contracts = kind in _CONTRACTS
    equation = model.equation if isinstance(model.equation, str) else ""
    lines = [f"# {model.__name__}: {equation}" if equation else f"# {model.__name__}"]
    lines += [f"# Run it with: dynet run FILE.toml. What its keys mean: dynet models {kind}", ""]
    lines += [f'title = "My first {model.__name__} model"']
    if on_graph:
        lines += [*_GRAPH.rstrip().splitlines()]
    lines += ["", "[model]", f'kind = "{kind}"', *_keys(parameters, start, _meanings(model), skip=on_graph)]
    around = [f"x0 = {_AROUND[kind]}", "spread = 0.02"] if kind in _AROUND else []
    if kind in _WHERE:
        around = [f"x0 = {_WHERE[kind]}"]
    several = f"batch = {16 if contracts else 2}  # random initial states; x0 = [...] sets them"
    lines += ["", "[simulate]", "t = 10.0  # the end, or [start, end]", several, *around]
    lines += ['# method = "auto"  # see docs/choosing.md', "# rtol = 1e-6"]
    if contracts:
        lines += ["", "[certify]", *_CERTIFY]
    lines += ["", "[[figure]]", 'kind = "trajectories"']
    if contracts:
        lines += ["", "[[figure]]", 'kind = "decay"  # distances of pairs, under the certified bound']
    wanted = "rate = { min = 0.1 }" if contracts else "failed = 0"
    lines += ["", f"[expect]  # what the run must reproduce: {', '.join(list(QUANTITIES)[:5])}, ...", wanted]
    return "\n".join(lines) + "\n"


def catalogue(kind=None):
    """The kinds of models, or one of them explained.

    Parameters
    ----------
    kind : str, optional

    Returns
    -------
    list of dict, or str
        For each kind its word, its equation and its parameters; or the docstring of one.

    Examples
    --------
    >>> [entry["parameters"] for entry in catalogue() if entry["kind"] == "lorenz"]
    [['sigma', 'rho', 'beta']]
    """
    if kind is not None:
        model = _known(kind)
        return f"{kind} ({model.__module__}.{model.__name__})\n\n{inspect.getdoc(model)}"
    from ..models import KINDS

    return [
        {"kind": word, "equation": model.equation if isinstance(model.equation, str) else "",
         "parameters": list(keywords(model))}
        for word, model in KINDS.items()
    ]  # fmt: skip


def _known(kind, *others):
    from ..models import KINDS

    if kind not in KINDS:
        raise ArgumentError("kind", kind, "a kind of model", choices=(*KINDS, *others))
    return KINDS[kind]


def _keys(parameters, start, meanings, skip):
    """The keys of [model]: the ones to set, then the others as comments with their defaults."""
    for name, parameter in parameters.items():
        if name == "coupling" and skip:
            continue
        meaning = f"  # {meanings[name]}" if name in meanings else ""
        if name in start:
            yield f"{name} = {toml.dumps({'v': start[name]}).strip().removeprefix('v = ')}{meaning}"
        elif isinstance(parameter.default, (bool, int, float, str)):
            yield f"# {name} = {toml.dumps({'v': parameter.default}).strip().removeprefix('v = ')}{meaning}"


def _meanings(model):
    """The first sentence that the docstring says of each parameter."""
    section = re.search(r"Parameters\n-+\n(.*?)(?:\n\n|\Z)", inspect.getdoc(model) or "", re.DOTALL)
    found = {}
    for entry in re.split(r"\n(?=\S)", section.group(1)) if section else ():
        names, _, rest = entry.partition(" : ")
        text = " ".join(textwrap.dedent(rest.partition("\n")[2]).split())
        sentence = re.split(r"(?<=[.;]) ", text)[0].rstrip(".;")
        for name in names.split(","):
            if sentence:
                found[name.strip()] = re.sub(r"[`:*]|\\?math", "", sentence)
    return found
