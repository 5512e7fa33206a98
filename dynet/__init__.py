"""dynet: is my dynamical system contracting, with what rate, in which norm, and can you prove it?

A model is a vector field. :func:`simulate` makes a trajectory of it, :func:`certify` a certificate that can be checked
without trusting the search that found it, :func:`equilibrium` a state with a bound on its error. The public names load on
first use, so that importing the package costs nothing.
"""

import importlib
import sys
import types

_HOME = {
    "vector_field": "fields.function",
    "VectorField": "fields.base",
    "Activation": "fields.activation",
    "Event": "fields.watch",
    "Constant": "fields.signal",
    "Sinusoid": "fields.signal",
    "Piecewise": "fields.signal",
    "Tabulated": "fields.signal",
    "load_graph": "fields.graph",
    "Norm": "linalg.norms",
    "lyapunov_exponents": "lyapunov",
    "LyapunovSpectrum": "lyapunov",
    "periodic_orbit": "periodic",
    "PeriodicOrbit": "periodic",
    "sample_paths": "sampling",
    "simulate": "simulate",
    "Trajectory": "trajectory",
    "certify": "certify",
    "Certificate": "certify.certificate",
    "Box": "certify.region",
    "Ball": "certify.region",
    "Orthant": "certify.region",
    "Simplex": "certify.region",
    "PhaseCohesive": "certify.region",
    "falsify": "certify.falsify",
    "equilibrium": "equilibrium",
    "Equilibrium": "equilibrium",
    "ImplicitNetwork": "implicit.network",
    "Scenario": "scenario",
    "Status": "errors",
    "DynetError": "errors",
}
_ROOMS = ("errors", "figures", "implicit", "linalg", "models")

__all__ = sorted([*_HOME, *_ROOMS])


def __getattr__(name):
    if name in _HOME:
        value = getattr(importlib.import_module(f"dynet.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    if name in _ROOMS:
        return importlib.import_module(f"dynet.{name}")
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("dynet-contraction")
        except PackageNotFoundError:  # a checkout that is not installed
            return "0+unknown"
    raise AttributeError(f"module 'dynet' has no attribute {name!r}")


def __dir__():
    return __all__


class _Package(types.ModuleType):
    """Keeps ``dynet.simulate`` the function: importing the module of that name would otherwise bind the module here."""

    def __setattr__(self, name, value):
        if name in _HOME and isinstance(value, types.ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
