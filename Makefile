.PHONY: help setup quickstart test test-fast lint
PYTEST = .venv/bin/python -m pytest

help: ## Say what there is
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile | expand -t 18

setup: ## Make or refresh .venv (the others do it too)
	@./install.sh

quickstart: setup ## Search a first distiller on a small data set
	.venv/bin/gp_search run configs/quickstart.py

test: setup ## Run all tests
	$(PYTEST)

test-fast: setup ## Run all but the slow tests
	$(PYTEST) -m "not slow"

lint: setup ## Check style and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
