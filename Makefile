.PHONY: help setup quickstart test test-slow test-all lint docs
# Every worker and every command imports torch and mmdet: compiled bytecode saves 4 of the 10 s that this takes.
unexport PYTHONDONTWRITEBYTECODE
# Two processes of one thread each; a file's tests stay together, so that what they share is made once.
# They write thousands of small files, into memory where 4 GiB of it are free; what passed leaves nothing there.
MEMORY = $(shell df -k --output=avail /dev/shm 2>/dev/null | awk 'NR == 2 && $$1 > 4194304 { print "/dev/shm" }')
PYTEST = OMP_NUM_THREADS=1 PYTEST_DEBUG_TEMPROOT=$(or $(MEMORY),$${TMPDIR:-/tmp}) .venv/bin/python -m pytest -n 2 --dist loadfile

help: ## Say what there is
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile | expand -t 18

setup: ## Make or refresh .venv (the others do it too)
	@./install.sh

quickstart: setup ## Search a first distiller on a small data set
	.venv/bin/gp_search quickstart

test: setup ## Run the tests
	$(PYTEST) -m "not slow"

test-slow: setup ## Run the few long tests
	$(PYTEST) -m slow

test-all: setup ## Run all tests at once
	$(PYTEST)

lint: setup ## Check style and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

docs: .venv/.docs ## Build the documentation
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict
	@echo "open $(CURDIR)/build/docs/index.html"

# The tools of the extra `docs` alone: what .venv holds besides, such as compiled operators, stays as it is.
.venv/.docs: setup.cfg constraints.txt | setup
	sed -n '/^docs =/,/^[a-z]* =$$/s/^    //p' setup.cfg >$@.txt
	.venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -r $@.txt
	mv $@.txt $@
