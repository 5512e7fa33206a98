"""Implicit networks: layers defined by an equilibrium, solved with proof, trained, and certified."""

_HOME = {
    "ImplicitNetwork": "network",
    "Passes": "passes",
    "gradients": "adjoint",
    "Gradients": "adjoint",
    "margins": "bounds",
    "One": "parametrize",
    "Projection": "parametrize",
    "WeightedInf": "parametrize",
}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name in _HOME:
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'dynet.implicit' has no attribute {name!r}")


def __dir__():
    return __all__
