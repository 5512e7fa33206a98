"""Settings of the property tests: no deadline (machines differ), and a printed blob that reproduces a failure."""

from hypothesis import settings

settings.register_profile("dynet", settings.default, deadline=None, print_blob=True)
settings.load_profile("dynet")
