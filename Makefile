# Both targets work from a plain clone: Python 3.10-3.12, a C++ compiler and pip are all that they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO_OUT ?= demo_output

.PHONY: demo test test-browser lint

demo: $(READY)
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/proto-saga demo --output-dir $(DEMO_OUT)

test: $(READY) lint
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest

# Those of the viewer only. They need Chromium (Debian: apt-get install chromium), and patience: it draws without a GPU.
test-browser: $(READY)
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest -m browser

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

# nerfstudio calls an ffmpeg on PATH; the one inside imageio-ffmpeg serves where the machine has none.
$(READY): pyproject.toml CMakeLists.txt $(wildcard proto_saga_ns/kernels/csrc/*)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --upgrade --quiet pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	ln -sf "$$($(BIN)/python -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')" $(BIN)/ffmpeg
	touch $@
