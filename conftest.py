import os

from hypothesis import settings

pytest_plugins = ["harness.pytest_plugin", "pytester"]

# What CI finds, everyone finds again: the same examples each time.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("local", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "local"))
