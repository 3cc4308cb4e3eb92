"""The cameras of iniVation that the headers of AEDAT files name."""

from __future__ import annotations

import re

_SIZES = {
    "dvs128": (128, 128),
    "davis128": (128, 128),
    "davis208": (208, 192),
    "davis240": (240, 180),
    "davis346": (346, 260),
    "davis640": (640, 480),
    "dvxplorer": (640, 480),
}


def named_in(text: str) -> tuple[str, tuple[int, int] | None] | None:
    """Return (family, (width, height) if known) of the camera that a text names, or None.

    Families are ``dvs128``, ``davis`` and ``dvxplorer``; they share the layout of addresses.
    """
    # jAER writes the whole name of its class, such as eu.seebetter.ini.chips.davis.Davis346red
    found = re.findall(r"dvs128|davis\s?\d*|dvxplorer", text.lower())
    if not found:
        return None
    name = found[-1].replace(" ", "")
    family = "davis" if name.startswith("davis") else name
    return family, _SIZES.get(name)
