"""Make the pictures of the README and the docs, from seeded data, into docs/pictures.

make pictures                        makes all of them; those of the page where there is Chromium
make pictures PICTURES="sales page"  makes these
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

from pipelines.runtime.demo import demo_tape
from scripts.page_pictures import take_pictures

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
#: So few colours make a picture a third as big, and nobody sees it.
_COLORS = 128
_ANOMALIES = (
    "promotion@2024-02-08T11:00+2h*2.6",
    "power-cut@2024-02-14T12:00+3h",
    "promotion/SF07@2024-02-16T15:00+2h*7",
)


def produce(folder: Path) -> tuple[str, ...]:
    """Return the options for the demo tape."""
    del folder
    return "--input", demo_tape()


def errors(folder: Path) -> tuple[str, ...]:
    """Make five weeks of a web site with outages, and return the options for them."""
    responses = folder / "responses.jsonl"
    _run("simulators.http", "--rows", 800_000, "--seed", 2, "--output", responses)
    return "--input", str(responses), "--weekdays", "all"


def credit(folder: Path) -> tuple[str, ...]:
    """Make the transfers of a day, and return the options for them."""
    transfers = folder / "transfers.jsonl"
    _run("simulators.bank", "--rows", 60_000, "--seed", 1, "--fields", "full", "--output", transfers)
    return "--input", str(transfers)


def sales(folder: Path) -> tuple[str, ...]:
    """Make seven weeks of a shop, with hours that stand out, and return the options for them."""
    _run(
        "simulators.smoothies",
        *("--from", "2024-01-02T07:00", "--to", "2024-02-20", "--rows", 400_000, "--seed", 3),
        *("--min-sale-freq", 60, "--max-sale-freq", 240, "--supply-trouble", "TR05@2024-02-18T07:00+2d"),
        *("--output", f"{folder}/shop/"),
        *(text for anomaly in _ANOMALIES for text in ("--anomaly", anomaly)),
    )
    return "--input", f"{folder}/shop/"


#: What a pipeline reads, and with which options.
INPUTS: dict[str, Callable[[Path], tuple[str, ...]]] = {
    "produce": produce,
    "errors": errors,
    "credit": credit,
    "sales": sales,
}
PAGE = "page"


def main(argv: Sequence[str] | None = None) -> int:
    """Make the pictures; return 0."""
    names = (*INPUTS, PAGE)
    parser = argparse.ArgumentParser(prog="scripts/pictures.py", description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="*", metavar="NAME", help=f"of {', '.join(names)} (default: all)")
    asked = parser.parse_args(argv).pictures or names
    unknown = set(asked) - set(names)
    if unknown:
        parser.error(f"expected names of {', '.join(names)}, got {min(unknown)!r}")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        options = {name: make(place) for name, make in INPUTS.items() if name in asked or PAGE in asked}
        for name in options.keys() & set(asked):
            _run(f"pipelines.{name}", *options[name], "--output", "-", "--plot", place / f"{name}.png")
        if PAGE in asked:
            take_pictures(place, options)
        for picture in sorted(place.glob("*.png")):
            _shrink(picture, FOLDER / picture.name)
            print(f"drew docs/pictures/{picture.name}")
    return 0


def _shrink(picture: Path, target: Path) -> None:
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
