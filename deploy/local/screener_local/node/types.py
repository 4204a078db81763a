"""Words that the process node's modules share."""

from typing import Any

JSON = dict[str, Any]
"""A Kubernetes object, or a part of one, as the API server's JSON has it."""
