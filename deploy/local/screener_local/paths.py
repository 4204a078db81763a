"""Where things are in a checkout. Never creates anything."""

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
KUBERNETES_MODULE = PROJECT / "deploy/local/kubernetes"
DEPLOY = PROJECT / "deploy"
CRDS = PROJECT / "crds"
REQUIREMENTS = PROJECT / "requirements"
SHARED_DATA = PROJECT.parent / "shared/data"
"""Optional: real code lists and payloads, beside the checkout."""

PROGRAMS = Path(sys.prefix) / "bin"
"""The virtual environment's programs: what containers run instead of images."""

STATE = PROJECT / ".local"
"""What `make up` keeps; tests and the bench use folders of their own."""
