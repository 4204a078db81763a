"""Where the fixtures are, and how Hypothesis searches."""

import hypothesis_profile

pytest_plugins = (
    "simulator_fixture",
    "system_fixture",
    "e2e_world",
    "chaos_world",
    "analyzer_world",
)

hypothesis_profile.load()
