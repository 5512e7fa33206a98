"""Settings of the property tests: no deadline (machines differ), and a printed blob that reproduces a failure.

In continuous integration the examples are the same in every run: whether a change lands must not depend on chance. Everywhere
else each run draws new ones.
"""

import os

from hypothesis import settings

settings.register_profile(
    "dynet", settings.default, deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI")), database=None
)
settings.load_profile("dynet")
