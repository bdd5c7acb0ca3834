# make check   format, lint, types, quick tests: under a minute  make demo    flynn at work on this machine
# make test    everything, against real engines                 make format  put the code in form
# make fuzz    attack the router's parsers for FUZZ_SECONDS     make bench-router  the router beside its peers
# make clean   remove what was made here                        make bench-host    the host agent beside its peers
#                                                               make bench-scheduler  the scheduler on simulated hosts
#                                                               make bench-deploy     git push to first answer

STAMP := .venv/.stamp
BIN := .venv/bin
# Where no compiled modules are kept, each of the hundreds of processes that the tests start compiles all of flynn anew.
unexport PYTHONDONTWRITEBYTECODE

REQUIRED := $(filter true,$(CI))

.PHONY: check test demo format clean fuzz bench-router bench-host bench-scheduler bench-deploy

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q -n 4 -m quick

test: $(STAMP)
	bash tests/engines.sh $(if $(REQUIRED),--required)
	$(BIN)/pytest -q -n 4 -m quick
	$(if $(REQUIRED),REQUIRE_ENGINES=1) $(BIN)/pytest -n 3 --dist loadfile -m 'not quick'

demo: $(STAMP)
	$(BIN)/flynn demo

fuzz: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'atheris >= 3' || echo "fuzzing without atheris"
	$(BIN)/python -m tests.fuzz

bench-router: $(STAMP)
	bash bench/engines.sh router
	.engines/bench/bin/python -m bench.router

bench-host: $(STAMP)
	bash bench/engines.sh host
	.engines/bench/bin/python -m bench.host

bench-scheduler: $(STAMP)
	bash bench/engines.sh scheduler
	.engines/bench/bin/python -m bench.scheduler

bench-deploy: $(STAMP)
	bash bench/engines.sh deploy
	.engines/bench/bin/python -m bench.deploy

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .engines build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

$(STAMP): setup.cfg pyproject.toml .ci/venv
	bash .ci/venv .venv
	@touch $@
