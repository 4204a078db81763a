"""Entry point `screener-schedule`: creates the CollectionRun of a CronJob's tick from a template.

The run takes the name of the Job, which the tick has named, so that a pod that is started again
creates nothing twice. A run of that name counts as created only if its spec is the same, defaults
included.
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from screener_operator.cluster import (
    AlreadyExists,
    Cluster,
    NotFound,
    Refused,
    load_configuration,
)
from screener_operator.resources import API_VERSION, COLLECTION_RUN
from screener_operator.settings import DEFAULT_NAMESPACE
from screener_sql.errors import BadSetting, Permanent, Retryable
from screener_sql.model import ExitCode

ATTEMPTS = 5
PAUSE_S = 2.0
"""After a first failure; doubled with each that follows."""


class OtherSpec(Permanent):
    """A run of that name exists with another spec."""


def read_template(path: Path, name: str, namespace: str) -> dict[str, Any]:
    """The CollectionRun to create. Raises BadSetting if the file holds none."""
    try:
        template = yaml.safe_load(path.read_text())
    except (OSError, UnicodeError) as error:
        raise BadSetting(f"--template: {path} cannot be read ({type(error).__name__})") from error
    except yaml.YAMLError as error:
        raise BadSetting(f"--template: {path} is not YAML: {error}") from error
    if not isinstance(template, Mapping):
        raise BadSetting(f"--template: {path} does not hold an object")
    for field, wanted in (("apiVersion", API_VERSION), ("kind", COLLECTION_RUN)):
        if template.get(field) != wanted:
            raise BadSetting(
                f"--template: {path}: {field} must be {wanted}, not {template.get(field)!r}"
            )
    if "spec" not in template:
        raise BadSetting(f"--template: {path}: spec is missing; {{}} is a complete daily run")
    metadata = template.get("metadata") or {}
    kept = {key: metadata[key] for key in ("labels", "annotations") if key in metadata}
    return {**template, "metadata": {**kept, "name": name, "namespace": namespace}}


def create(cluster: Cluster, body: Mapping[str, Any]) -> str:
    """Creates the run, or finds it created; returns what happened. Raises OtherSpec, Refused or
    ClusterUnreachable.
    """
    name = body["metadata"]["name"]
    try:
        cluster.create_run(body)
    except AlreadyExists:
        try:
            found = cluster.run(COLLECTION_RUN, name)
        except NotFound as error:
            raise Retryable(f"CollectionRun {name} is being deleted") from error
        if found["spec"] != _as_stored(cluster, body)["spec"]:
            raise OtherSpec(f"CollectionRun {name} exists with another spec") from None
        return f"CollectionRun {name} was created already"
    return f"CollectionRun {name} created"


def create_patiently(cluster: Cluster, body: Mapping[str, Any]) -> str:
    """As `create`, tried a few times while the API server does not answer."""
    for attempt in range(1, ATTEMPTS):
        try:
            return create(cluster, body)
        except Retryable as error:
            pause = PAUSE_S * 2 ** (attempt - 1)
            print(f"{error}; tried again in {pause:.0f} s", file=sys.stderr, flush=True)
            time.sleep(pause)
    return create(cluster, body)


def _as_stored(cluster: Cluster, body: Mapping[str, Any]) -> dict[str, Any]:
    """The run with the API server's defaults applied."""
    metadata = {
        "generateName": "same-spec-",
        "namespace": body["metadata"]["namespace"],
    }
    return cluster.create_run({**body, "metadata": metadata}, dry_run=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="screener-schedule", description="Creates a CollectionRun from a template."
    )
    parser.add_argument("--template", required=True, type=Path, metavar="FILE")
    parser.add_argument(
        "--name",
        default=os.environ.get("JOB_NAME"),
        help="the run's name; left out, that of the environment's JOB_NAME",
    )
    given = parser.parse_args(arguments)
    try:
        if not given.name:
            raise BadSetting("neither --name nor JOB_NAME is given")
        namespace = os.environ.get("NAMESPACE") or DEFAULT_NAMESPACE
        body = read_template(given.template, given.name, namespace)
        print(create_patiently(Cluster(namespace, load_configuration()), body))
    except (BadSetting, Refused, OtherSpec) as error:
        # Trying again could not help.
        print(f"screener-schedule: {error}", file=sys.stderr)
        return ExitCode.BAD_SETTING
    except (Permanent, Retryable) as error:
        print(f"screener-schedule: {error}", file=sys.stderr)
        return ExitCode.UNEXPECTED
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
