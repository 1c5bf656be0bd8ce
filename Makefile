# Needs python3 (3.11 or newer) and make; everything else is installed into a cached environment outside the checkout.
PYTHON3 ?= python3
SHARED ?= ../shared
MODEL ?= $(SHARED)/models/yolox_nano_416.onnx
SCENES_VENV ?= $(HOME)/.cache/railwatch/scenes
VIDEO ?= $(SHARED)/data/video/vtest.avi

export PYTHONPATH := $(CURDIR)

# Each recipe begins with one of these: "$$python" is then the interpreter that has the dependencies.
cpu = set -e; python="$$($(PYTHON3) scripts/venv.py cpu)";
dev = set -e; python="$$($(PYTHON3) scripts/venv.py cpu bridge relay classifiers cluster dev)";

.DEFAULT_GOAL := help
STEPS ?= 3000
.PHONY: help detector scenes demo test check lint format-check types imports tree hooks bench format constraints clean

help:  ## what can be made
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

demo:  ## watch a clip with a subscriber beside it
	@$(cpu) "$$python" scripts/demo.py

test:  ## all tests in random order, and the branch coverage of what decides
	@$(dev) "$$python" -m pytest -n 2 --cov --cov-report= $(PYTEST); \
	"$$python" -m coverage report --include='railwatch/core/*,railwatch/decision/*' --show-missing --skip-covered --fail-under=100

check: lint format-check types imports tree hooks  ## everything that is checked without running the code

lint:
	@$(dev) "$$python" -m ruff check

format-check:
	@$(dev) "$$python" -m ruff format --check

types:
	@$(dev) "$$python" -m mypy

imports:
	@$(dev) "$${python%/*}/lint-imports"

tree:
	@$(PYTHON3) scripts/check_tree.py

hooks:
	@$(dev) "$$python" -m pre_commit validate-config

bench:  ## per-stage times against the bare session (MODEL=, VIDEO=)
	@for file in "$(MODEL)" "$(VIDEO)"; do \
	  [ -f "$$file" ] || { echo "bench needs $$file: name others with make bench MODEL=FILE VIDEO=FILE" >&2; exit 1; }; done
	@$(cpu) "$$python" -m railwatch bench --model "$(MODEL)" --video "$(VIDEO)"

scenes:  ## render the scenes in an environment of their own, Python 3.11 (SCENES="demo night", else all)
	@[ -e "$(SCENES_VENV)/.complete" ] || { $(PYTHON3) -m venv "$(SCENES_VENV)" \
	  && "$(SCENES_VENV)/bin/pip" install -q -r scenes/requirements.txt && touch "$(SCENES_VENV)/.complete"; }
	@"$(SCENES_VENV)/bin/python" -m scenes.render $(SCENES)

detector:  ## train the default detector anew: hours; needs ../shared and the environment of the scenes (STEPS=)
	@[ -e "$(SCENES_VENV)/.complete" ] || { echo "detector needs the environment of the scenes: make scenes SCENES=nobody" >&2; exit 1; }
	@"$(SCENES_VENV)/bin/python" -m models.recipes.railwatch_nano.render_training build/detector/rendering --layouts 16
	@$(dev) "$$python" -m models.recipes.railwatch_nano.train --out build/detector --shared "$(SHARED)" \
	  --rendering build/detector/rendering --steps $(STEPS); \
	"$$python" -m models.recipes.railwatch_nano.blend build/detector/blend.pt build/detector/last.pt --shared "$(SHARED)"; \
	"$$python" -m models.recipes.railwatch_nano.export build/detector/blend.pt build/detector/railwatch-nano.onnx

format:  ## format the code and mend what ruff can mend
	@$(dev) "$$python" -m ruff check --fix; "$$python" -m ruff format

constraints:  ## write constraints.txt anew with the newest versions
	@$(dev) "$$python" scripts/constraints.py

clean:  ## remove everything that is built
	rm -rf build dist demo-output mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
