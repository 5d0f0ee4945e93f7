"""Make the pictures of the README and the docs, from seeded data, into docs/pictures.

make pictures                        makes all of them
make pictures PICTURES="sales"       makes these
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
#: So few colours make a picture a third as big, and nobody sees it.
_COLORS = 128


def produce(folder: Path, picture: Path) -> None:
    """Draw the best sellers of the demo tape."""
    del folder
    _run("pipelines.produce", "--output", "-", "--plot", picture)


def errors(folder: Path, picture: Path) -> None:
    """Draw the visitors of five weeks of a web site with outages."""
    responses = folder / "responses.jsonl"
    _run("simulators.http", "--rows", 800_000, "--seed", 2, "--output", responses)
    _run("pipelines.errors", "--input", responses, "--weekdays", "all", "--output", "-", "--plot", picture)


def credit(folder: Path, picture: Path) -> None:
    """Draw the transfers of a day."""
    transfers = folder / "transfers.jsonl"
    _run("simulators.bank", "--rows", 60_000, "--seed", 1, "--fields", "full", "--output", transfers)
    _run("pipelines.credit", "--input", transfers, "--output", "-", "--plot", picture)


def sales(folder: Path, picture: Path) -> None:
    """Draw seven weeks of a shop, with hours that stand out."""
    anomalies = (
        "promotion@2024-02-08T11:00+2h*2.6",
        "power-cut@2024-02-14T12:00+3h",
        "promotion/SF07@2024-02-16T15:00+2h*7",
    )
    _run(
        "simulators.smoothies",
        *("--from", "2024-01-02T07:00", "--to", "2024-02-20", "--rows", 400_000, "--seed", 3),
        *("--min-sale-freq", 60, "--max-sale-freq", 240, "--output", f"{folder}/shop/"),
        *(text for anomaly in anomalies for text in ("--anomaly", anomaly)),
    )
    _run(
        *("pipelines.sales", "--input", f"{folder}/shop/", "--tables", "products", "anomalies"),
        *("--output", "-", "--plot", picture),
    )


PICTURES: dict[str, Callable[[Path, Path], None]] = {
    "produce": produce,
    "errors": errors,
    "credit": credit,
    "sales": sales,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Make the pictures; return 0."""
    parser = argparse.ArgumentParser(prog="scripts/pictures.py", description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="*", metavar="NAME", help=f"of {', '.join(PICTURES)} (default: all)")
    asked = parser.parse_args(argv)
    unknown = set(asked.pictures) - PICTURES.keys()
    if unknown:
        parser.error(f"expected names of {', '.join(PICTURES)}, got {min(unknown)!r}")
    FOLDER.mkdir(exist_ok=True)
    for name in asked.pictures or PICTURES:
        with tempfile.TemporaryDirectory() as folder:
            picture = Path(folder) / f"{name}.png"
            PICTURES[name](Path(folder), picture)
            shrink(picture, FOLDER / picture.name)
        print(f"drew docs/pictures/{name}.png")
    return 0


def shrink(picture: Path, target: Path) -> None:
    """Write a picture with as many colours as it needs."""
    from PIL import Image  # noqa: PLC0415 (it comes with matplotlib, an extra)

    with Image.open(picture) as image:
        small = image.convert("RGB").quantize(_COLORS, dither=Image.Dither.NONE)
    small.save(target, optimize=True)


def _run(program: str, *options: object) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        status = import_module(program).main([*map(str, options), "--quiet"])
    if status:
        raise SystemExit(f"pictures: {program} ended with {status}")


if __name__ == "__main__":
    sys.exit(main())
