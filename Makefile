# `make help` lists what a newcomer can do.
#
# Everything runs from .venv, which is made once, and again when setup.py changes. Variables that may be given:
#   PYTHON=python3.12   the interpreter that .venv is made with (3.10 or newer)
#   ARGS="..."          more options for the pipeline of `make demo`, for `make page`, or for pytest in `make test` and `make soak`
#   ROWS=1000000        for `make bench`: how many rows of tape instead of ten million
#   KILLS=10            for `make soak`: how often each program and server is killed instead of a hundred times
#   AT_ONCE=1           for `make test` and `make flakes`: how many tests side by side instead of three
#   RUNS=5              for `make flakes`: how often the tests run instead of 20 times
#   PICTURES=sales      for `make pictures`: these instead of all
#   TESTS=tests/docs    for `make flakes`: these tests instead of the whole suite

MAKEFLAGS += --no-print-directory
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
BENCH_VENV := .venv-bench
SITE_VENV := .venv-site
# Spark's connector for Kafka is not there for every version of Spark.
BENCH_PACKAGES := duckdb pandas bytewax pathway 'pyspark<4.3' quixstreams confluent-kafka
ROWS ?= 10000000
KILLS ?= 100
# So many tests run side by side: most of those that are slow wait for something.
AT_ONCE ?= 3
RUNS ?= 20
TESTS ?= tests
# Tests start some hundred processes: each would compile the whole project if it might not keep what it compiled.
test docs soak flakes: export PYTHONDONTWRITEBYTECODE :=
soak: export HYPOTHESIS_PROFILE ?= thorough

.DEFAULT_GOAL := help
.PHONY: help demo page setup test lint types format docs pictures site notebooks bench soak flakes prism jars kafka kafka-topics kafka-stop flink-jars flink flink-stop s3-server clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.ready prism ## set up .venv and run the main job on 100,000 rows of simulated register tape
	@$(BIN)/python -m pipelines.produce --runner=DirectRunner $(ARGS)

page: $(VENV)/.ready-page prism ## open the live page: start and stop every pipeline, and see what it gives
	@$(BIN)/python -m pages $(ARGS)

test: setup prism jars flink-jars s3-server ## set up everything, then lint, type-check and test
	@$(MAKE) lint
	@$(MAKE) types
	@$(BIN)/python -m pytest -m "not soak" -n $(AT_ONCE) --dist worksteal --durations=5 $(ARGS)

setup: $(VENV)/.ready-test ## set up .venv for work on the code

lint: setup ## check style and format with ruff
	@echo "ruff"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "not formatted: run make format"; exit 1; }

types: setup ## check types with mypy
	@echo "mypy"
	@$(BIN)/mypy --no-error-summary

format: setup ## put the code in the house's format, and mend what ruff can mend
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format --quiet .

docs: setup prism jars flink-jars s3-server ## run every command and snippet of the README and docs/
	@$(BIN)/python -m pytest -q tests/docs $(ARGS)

pictures: setup ## draw the pictures of the README and the docs from seeded data, into docs/pictures
	@$(BIN)/python -m scripts.pictures $(PICTURES)

site: $(SITE_VENV)/.ready ## build the documentation as a site in out/site/html, with a search of its own
	@$(SITE_VENV)/bin/python scripts/site_pages.py
	@NO_MKDOCS_2_WARNING=1 $(SITE_VENV)/bin/mkdocs build --quiet
	@echo "out/site/html; look at it by: python -m http.server --bind 127.0.0.1 --directory out/site/html"

notebooks: setup prism ## run the notebooks whose outputs are kept in them anew
	@$(BIN)/jupyter-execute --inplace --timeout=120 examples/first_steps.ipynb examples/live.ipynb

bench: $(VENV)/.ready-test $(BENCH_VENV)/.ready prism jars s3-server ## run the benchmarks and print their tables (half an hour)
	@$(BIN)/python -m benchmarks.produce_totals --rows $(ROWS)
	@$(BIN)/python -m benchmarks.memory --rows $$(( $(ROWS) / 10 )) --times 1 10
	@$(BIN)/python -m benchmarks.tcp_throughput --rows $$(( $(ROWS) * 3 / 10 ))
	@$(BIN)/python -m benchmarks.window_latency
	@$(BIN)/python -m benchmarks.errors_board --rows $(ROWS)
	@$(BIN)/python -m benchmarks.errors_memory --visitors $(ROWS)
	@$(BIN)/python -m benchmarks.errors_live
	@$(BIN)/python -m benchmarks.credit_throughput
	@$(BIN)/python -m benchmarks.credit_latency
	@$(BIN)/python -m benchmarks.tcp_udp
	@$(BIN)/python -m benchmarks.kafka_throughput
	@$(BIN)/python -m benchmarks.kafka_latency
	@$(BIN)/python -m benchmarks.smoothies
	@$(BIN)/python -m benchmarks.object_store --rows $(ROWS)
	@$(BIN)/python -m benchmarks.page

soak: setup prism jars flink-jars s3-server ## run the slow proofs that `make test` leaves out, and print the table of kills (an hour)
	@$(BIN)/python -m pytest -m soak $(ARGS)
	@$(BIN)/python -m tests.kills --kills $(KILLS)

flakes: setup prism jars flink-jars s3-server ## run the tests RUNS times beside three busy loops, and print which failed how often
	@$(BIN)/python -m tests.flakes --runs $(RUNS) --at-once $(AT_ONCE) $(TESTS)

prism: $(VENV)/.ready ## get Prism, the runner of live streams, where there is Go
	@scripts/get_prism.sh $(BIN)/python

jars: ## get the Kafka broker, where there is Java and Maven
	@scripts/kafka.sh get

kafka: jars ## start a Kafka broker on 127.0.0.1:9092; its messages are in out/kafka
	@scripts/kafka.sh start

kafka-topics: $(VENV)/.ready ## list the topics of that broker; TOPICS="a b" describes some, DELETE="a b" deletes them
	@$(BIN)/python scripts/kafka_topics.py $(if $(DELETE),--delete $(DELETE),$(TOPICS))

kafka-stop: ## stop that broker
	@scripts/kafka.sh stop

flink-jars: ## get Flink and Beam's job server, where there is Java and Maven
	@scripts/flink.sh get

s3-server: ## get the S3 server that tests and benchmarks start, where there is Go
	@scripts/get_versitygw.sh

flink: $(VENV)/.ready flink-jars ## start a Flink cluster; its page is http://127.0.0.1:8081
	@scripts/flink.sh start

flink-stop: ## stop that cluster
	@scripts/flink.sh stop

clean: ## remove the environments and everything that was built or kept between runs, but not out/
	@rm -rf $(VENV) $(BENCH_VENV) $(SITE_VENV) build dist *.egg-info out/bench .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@scripts/make_venv.sh $(VENV) $(PYTHON)

$(VENV)/.ready: setup.py | $(VENV)/bin/python
	@echo "installing the project into $(VENV), once; it takes a minute"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.ready-page: setup.py | $(VENV)/.ready
	@$(PIP) install --editable '.[page]'
	@touch $@

$(VENV)/.ready-test: setup.py pyproject.toml | $(VENV)/.ready
	@echo "installing the test tools into $(VENV)"
	@$(PIP) install 'pip>=25.1'
	@PYTHONWARNINGS=ignore $(PIP) install --editable '.[all]' --group test
	@touch $@

$(SITE_VENV)/.ready: setup.py pyproject.toml
	@scripts/make_venv.sh $(SITE_VENV) $(PYTHON)
	@echo "installing what builds the site into $(SITE_VENV)"
	@$(SITE_VENV)/bin/python -m pip --disable-pip-version-check --quiet install 'pip>=25.1'
	@$(SITE_VENV)/bin/python -m pip --disable-pip-version-check --quiet install --editable . --group site
	@touch $@

$(BENCH_VENV)/.ready: setup.py
	@scripts/make_venv.sh $(BENCH_VENV) $(PYTHON)
	@for package in $(BENCH_PACKAGES); do \
	  echo "installing $$package into $(BENCH_VENV)"; \
	  $(BENCH_VENV)/bin/python -m pip --disable-pip-version-check --quiet install $$package || \
	    echo "$$package does not install here; the table will say so"; \
	done
	@touch $@
