"""Pure: which vendor the local system asks, and the file of exports that a shell reads. No I/O."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

VENDOR_ADDRESS, VENDOR_TOKEN = "EODHD_BASE_URL", "EODHD_API_TOKEN"


@dataclass(frozen=True, slots=True, repr=False)
class Vendor:
    """A vendor outside of the local system. Has no readable form, for it holds the token."""

    base_url: str
    token: str


def outside_vendor(
    environment: Mapping[str, str], own_exports: Mapping[str, str], own_simulator: bool
) -> Vendor | None:
    """The vendor that the environment names, or None: then the simulator stands for it.

    `own_exports` is what this local system's own `.local/env` exports; its values do not count as a
    vendor while they are the simulator's (`own_simulator`), for a shell that has read the file has
    them in its environment.
    """
    address, token = environment.get(VENDOR_ADDRESS), environment.get(VENDOR_TOKEN)
    if not address or not token:
        return None
    exported = (own_exports.get(VENDOR_ADDRESS), own_exports.get(VENDOR_TOKEN))
    if own_simulator and (address, token) == exported:
        return None
    return Vendor(address, token)


def half_named_vendor(environment: Mapping[str, str]) -> str | None:
    """What is missing, if only one of the two settings is there."""
    given = {name for name in (VENDOR_ADDRESS, VENDOR_TOKEN) if environment.get(name)}
    if len(given) != 1:
        return None
    return next(iter({VENDOR_ADDRESS, VENDOR_TOKEN} - given))


def render_exports(exports: Mapping[str, str], path_first: list[str]) -> str:
    """Shell lines that export these values and put folders first on the PATH."""
    lines = ["# Written by `make up`; read it with:  . .local/env"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in exports.items()]
    if path_first:
        folders = ":".join(shlex.quote(folder) for folder in path_first)
        lines.append(f'export PATH={folders}:"$PATH"')
    return "\n".join(lines) + "\n"


def parse_exports(text: str) -> dict[str, str]:
    """The values of `render_exports`, without the PATH."""
    found = {}
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if len(words) == 2 and words[0] == "export":
            name, _, value = words[1].partition("=")
            if name != "PATH":
                found[name] = value
    return found
