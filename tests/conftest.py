"""Only lists where the fixtures are."""

pytest_plugins = ("simulator_fixture", "system_fixture", "e2e_world", "chaos_world")
