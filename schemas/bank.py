"""Bank transfers, one JSON object a line."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path

from schemas.forms.json_lines import JSON_LINES
from schemas.record_type import Column, RecordType

#: ``{"account_id": 1234567, "account_region": "Eurasia Trade Zone", "transaction_value": 4310.27}``, and maybe a
#: ``transfer_time``; a transfer without one happened when it arrived.
TRANSFERS = RecordType(
    name="bank transfer",
    names=("account_id", "account_region", "transaction_value", "transfer_time"),
    columns=(
        Column("account_id", "integer", required=True),
        Column("account_region", "text", required=True),
        Column("transaction_value", "decimal", required=True),
        Column("transfer_time", "time"),
    ),
    event_time="transfer_time",
    form=JSON_LINES,
)


#: In which all values are, so that sums are meaningful.
CURRENCY = "USD"

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: How far a sum of probabilities may be from 1.
TOLERANCE = 1e-9

#: Where nobody says otherwise.
REGIONS: Mapping[str, float] = {
    "African Free Trade Zone": 0.1,
    "Eurasia Trade Zone": 0.2,
    "South Asian Trade Zone": 0.05,
    "North American Trade Zone": 0.4,
    "East Asian Trade Zone": 0.25,
}


def check_regions(regions: Mapping[str, object]) -> dict[str, float]:
    """Return names and probabilities as they are, if they can be.

    Raises:
        ValueError: there are none, one has no name or no probability, or the probabilities do not add up to 1.
    """
    checked: dict[str, float] = {}
    for name, share in regions.items():
        if not name.strip():
            raise ValueError(f"a region must have a name, got {name!r}")
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise ValueError(f"the probability of {name!r} must be a number from 0 to 1, got {share!r}")
        checked[name] = float(share)
    if not checked:
        raise ValueError("expected regions and their probabilities, got none")
    total = math.fsum(checked.values())
    if abs(total - 1) > TOLERANCE:
        raise ValueError(f"the probabilities of all regions must add up to 1, got {total:.12g}")
    return checked


def read_regions(path: Path | str) -> dict[str, float]:
    r"""Read a TOML file with a table ``[regions]`` of names and probabilities, and return them in its order.

    Raises:
        ValueError: the file cannot be read, is no such TOML, or its regions cannot be (:func:`check_regions`).

    Example:
        >>> _ = Path("regions.toml").write_text('[regions]\nNorth = 0.75\n"South East" = 0.25\n')
        >>> read_regions("regions.toml")
        {'North': 0.75, 'South East': 0.25}
    """
    try:
        with Path(path).open("rb") as file:
            found = tomllib.load(file)
    except OSError as error:
        raise ValueError(f"cannot read the regions of {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML: {' '.join(str(error).split())}") from error
    if list(found) != ["regions"] or not isinstance(found["regions"], dict):
        raise ValueError(f"{path}: expected one table [regions] of names and probabilities, got {list(found)}")
    try:
        return check_regions(found["regions"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
