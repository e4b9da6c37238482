# The command for a fresh machine is `make demo`: it makes .venv first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help demo class reset clean distclean

help:
	@echo "make demo     a tracker and four nodes move a real file; exit 0 only if all copies are identical"
	@echo "make demo SHOW=1  six slow nodes, which stay for a look at the tracker's page until Ctrl-C"
	@echo "make class N=10  a tracker and 10 nodes that share a file, until Ctrl-C; others may join"
	@echo "make reset    remove node files, logs and tracker records, after asking; .venv stays"
	@echo "make clean    remove caches and compiled files; make distclean: .venv, too"
	@echo "make test     the whole test suite, or a part: make test TESTS=tests/common"
	@echo "make check    lint, types and layers"
	@echo "make docs     write the generated pages in docs/ from the code; make pictures: the terminals, too"
	@echo "make soak     10,000 simulated transfers, 1,000 swarms, 1,000 transfers over real sockets; fewer: N=500 SWARMS=50 SOCKETS=50; then random examples for each property"
	@echo "make soak-labs  each lab's own solution 200 times at load 8; fewer: make soak-labs N=20"
	@echo "make fuzz     10 million inputs for all parsers and state machines; fewer: make fuzz N=200k"
	@echo "make bench    the figures, as a table and as JSON in bench/results/"
	@echo "make bench-network  transfers over bad links, compared with TCP, QUIC and libtorrent (Linux, root)"
	@echo "make bench-tracker  figures of the tracker; BENCH=--long: siege and kills, too"
	@echo "make chaos    every fault on real processes for MINUTES=10, then a table of the measured times; SEED=1"
	@echo "make kills    kill -9 of a tracker under load, KILLS=1000 times: no acknowledged write may be lost"
	@echo "make interop  install libtorrent and aioquic for tests and benches (aria2: your package manager)"

$(VENV)/run.stamp: requirements.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -c constraints.txt
	@touch $@

demo: $(VENV)/run.stamp
	$(BIN)/python demo.py $(if $(SHOW),--show)

class: $(VENV)/run.stamp
	@$(BIN)/python classroom.py start --nodes $(or $(N),10)

reset: $(VENV)/run.stamp
	@$(BIN)/python classroom.py reset $(if $(YES),--yes)

clean:
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .bench-*
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf .venv

# ---- for developers: a handout of the labs goes without the rest, which needs the tests and the benches

# Test processes, on two cores: half of the time tests wait for something.
WORKERS ?= 4
# The tests to run; all if empty. An example: make test TESTS=tests/common
TESTS ?=

# Faults on purpose, on real processes: every one that docs/faults.md lists, then nodes that come and go.
MINUTES ?= 10
SEED ?= 1
NODES ?= 200

.PHONY: chaos kills docs pictures venv test lint types layers bench bench-network bench-tracker interop check fuzz soak soak-labs

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements-dev.txt requirements-redis.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	@touch $@

$(VENV)/interop.stamp: $(VENV)/dev.stamp requirements-interop.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-interop.txt -c constraints.txt
	@touch $@

venv: $(VENV)/dev.stamp

interop: $(VENV)/interop.stamp

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -ra $(TESTS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@if command -v tsc > /dev/null; then echo tsc -p tsconfig.json; tsc -p tsconfig.json; fi

# `mypy .` would skip the launcher tracker.py behind the package of the same name.
types: $(VENV)/dev.stamp
	$(BIN)/mypy -p tracker -p node -p common -p faults -p bench -p fuzz -p simulator -p labs -m configs -m demo -m classroom
	$(BIN)/mypy --config-file tests/mypy.ini tests
	$(BIN)/mypy tracker.py
	$(BIN)/mypy TorrentClient.py
	$(BIN)/mypy docs/generate.py docs/pictures.py docs/dashboard_picture.py

docs: $(VENV)/dev.stamp
	$(BIN)/python docs/generate.py

# The terminals and the dashboard in docs/images, from real runs. Look at them before you commit them.
pictures: $(VENV)/dev.stamp
	$(BIN)/python docs/pictures.py
	$(BIN)/python docs/dashboard_picture.py

layers: $(VENV)/dev.stamp
	$(BIN)/lint-imports

check: lint types layers

# Without libtorrent and aioquic (no wheel for this system, no network) everything else is still measured.
bench: $(VENV)/dev.stamp
	@$(MAKE) --no-print-directory interop || echo "libtorrent cannot be installed: going on without it"
	$(BIN)/python -m bench $(BENCH)

# Links with loss, delay, rate and queue in network namespaces. iperf3 comes from your package manager.
bench-network: $(VENV)/dev.stamp
	@$(MAKE) --no-print-directory interop || echo "libtorrent cannot be installed: going on without it"
	$(BIN)/python -m bench network $(BENCH)

# Without redis-server (your package manager has it) its figures are skipped.
bench-tracker: $(VENV)/dev.stamp
	$(BIN)/python -m bench tracker $(BENCH)

# A run that breaks says its seed: python -m simulator --seed N repeats it, event by event.
soak: $(VENV)/dev.stamp
	$(BIN)/python -m simulator --runs $(or $(N),10000) --sockets $(or $(SOCKETS),1000) \
		--swarms $(or $(SWARMS),1000) --workers 2
	$(BIN)/python -m pytest -n 2 -q -m hypothesis --hypothesis-profile soak tests

# The labs' own solutions, N times on a busy machine: a check that is wrong once fails a student.
soak-labs: $(VENV)/dev.stamp
	LAB_RUNS=$(or $(N),200) $(BIN)/python -m pytest -n 8 -q --timeout 0 tests/labs/test_handin.py -k each_time

fuzz: $(VENV)/dev.stamp
	$(BIN)/python -m fuzz --inputs $(or $(N),10M)

chaos: $(VENV)/dev.stamp
	CHAOS_MINUTES=$(MINUTES) CHAOS_SEED=$(SEED) CHAOS_NODES=$(NODES) $(BIN)/python -m pytest tests/e2e/chaos -v -s --durations=0

KILLS ?= 1000
kills: $(VENV)/dev.stamp
	$(BIN)/python -m bench.tracker.kills --kills $(KILLS)
