"""`classifiers explain`: what a network looks at, and whether the pictures of it are to be believed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from classifiers.cli import options as o

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_MOST = 64
_CHECKED = 4


def explain(
    run: o.RunFolder,
    more: Annotated[list[Path] | None, typer.Argument(metavar="[IMAGES]...", hidden=True)] = None,
    *,
    images: Annotated[
        list[Path], typer.Option(metavar="IMAGES", help="Pictures, or folders of pictures; several may follow.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the figures go.")],
    neurons: Annotated[int, typer.Option(min=1, help="Neurons of the last convolution, the most excited ones.")] = 10,
) -> None:
    """Guided backpropagation, Grad-CAM and integrated gradients, each with the weight-randomisation check beside it.

    A map that stays the same when the network's weights are shuffled shows the picture, not the network.
    """
    from classifiers.charts import png
    from classifiers.checkpoint import load_run
    from classifiers.cli.progress import say
    from classifiers.explain import check_all
    from classifiers.explain import explain as explained
    from classifiers.explain_figures import checks, guided, methods
    from classifiers.files import write_bytes, write_json

    loaded = load_run(run)
    classes = loaded.meta.classes
    paths = _pictures([*images, *(more or [])])
    found = [
        explained(loaded.network, picture, path.name, classes, neurons)
        for path, picture in zip(paths, _read(paths, loaded.meta.network.input_size), strict=True)
    ]
    for number, each in enumerate(found):
        write_bytes(out / f"guided-{number:02d}.png", png(lambda each=each: guided(each)))  # type: ignore[misc]
        say(f"{each.name}: {each.predicted} with {each.confidence:.2f}; integrated gradients within {each.gap:.1%}")
    write_bytes(out / "methods.png", png(lambda: methods(found)))
    checked = check_all(loaded.network, found[:_CHECKED], classes)
    write_bytes(out / "check.png", png(lambda: checks(checked)))
    document = {
        name: {"layers": c.layers, "similarity": c.similarity, "edges": c.edges, "verdict": c.verdict}
        for name, c in checked.items()
    }
    write_json(out / "explain.json", {"pictures": [path.name for path in paths], "checks": document})
    for name, check in checked.items():
        sys.stdout.write(f"{name} {check.verdict}\n")
    sys.stdout.write(f"{out}\n")


def _pictures(given: Sequence[Path]) -> list[Path]:
    """The files named, and those in the folders named."""
    from classifiers.errors import ConfigError

    paths = [
        file
        for path in given
        for file in (sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path])
    ]
    if not 1 <= len(paths) <= _MOST:
        raise ConfigError(f"--images must name 1 to {_MOST} pictures, but names {len(paths)}")
    return paths


def _read(paths: Sequence[Path], side: int) -> list[Tensor]:
    """Pictures [3, side, side] in 0 to 1, decoded as training decodes them."""
    import torch

    from classifiers.pictures import decode, read_bytes, square

    squares = [square(decode(path, read_bytes(path), side), side) for path in paths]
    return [torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255 for pixels in squares]
