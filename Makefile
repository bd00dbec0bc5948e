# Both targets work from a plain clone on a machine with: git make g++ python3-dev python3-venv (Debian's names).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO_OUT ?= demo_output
# Where NVIDIA's driver is, pip brings the compiler for gsplat as well.
comma := ,
EXTRAS := dev$(if $(wildcard /proc/driver/nvidia/version),$(comma)cuda)
# Tests run on the CPU, on every machine alike; `make test GPU=1` lets them see the GPU.
GPU ?=
WORKERS ?= 2

.PHONY: demo test test-browser lint

demo: $(READY)
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/proto-saga demo --output-dir $(DEMO_OUT)

# Workers with one thread each: the scenes of the tests are too small for more, and threads that wait for each other spin.
test: $(READY) lint
	$(if $(GPU),,CUDA_VISIBLE_DEVICES=) PATH="$(abspath $(BIN)):$$PATH" OMP_NUM_THREADS=1 \
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --no-loadscope-reorder

# Those of the viewer only. They need Chromium (Debian: apt-get install chromium), and patience: it draws without a GPU.
test-browser: $(READY)
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest -m browser

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror proto_saga_ns/kernels/csrc/*
	$(BIN)/pyright --pythonpath $(BIN)/python

# nerfstudio calls an ffmpeg on PATH; the one inside imageio-ffmpeg serves where the machine has none.
$(READY): pyproject.toml CMakeLists.txt $(wildcard proto_saga_ns/kernels/csrc/*)
	@command -v $(PYTHON) >/dev/null || { echo "Missing: $(PYTHON). Debian and Ubuntu: sudo apt-get install git make \
	g++ python3-dev python3-venv" >&2; exit 2; }
	@$(PYTHON) scripts/check_prerequisites.py $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --upgrade --quiet pip
	$(BIN)/python -m pip install --quiet --editable ".[$(EXTRAS)]"
	ln -sf "$$($(BIN)/python -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')" $(BIN)/ffmpeg
	touch $@
