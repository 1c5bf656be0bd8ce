"""Average the weights of several runs and draw them back towards the start: every weight, by the same share.

    python -m models.recipes.railwatch_nano.blend OUT.pt RUN.pt [RUN.pt ...] [--share 0.75] [--shared ../shared]

A share of 1 is the average, 0 the start (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from models.recipes.railwatch_nano.train import SHARED, start_of


def main() -> None:
    """Read the command line and write the blend."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--share", type=float, default=0.75)
    parser.add_argument("--shared", type=Path, default=SHARED)
    given = parser.parse_args()
    runs = [torch.load(path, weights_only=True) for path in given.runs]
    start = start_of(given.shared / "models" / "yolox_nano_416.onnx").state_dict()
    blend = {
        name: torch.lerp(weight, sum(run["weights"][name] for run in runs) / len(runs), given.share).contiguous()
        for name, weight in start.items()
    }
    torch.save({"weights": blend, "size": runs[0]["size"], "step": 0}, given.out)


if __name__ == "__main__":
    main()
