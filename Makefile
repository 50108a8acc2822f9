.DEFAULT_GOAL := help
.PHONY: help setup env run dev test check fuzz audit lock pins bench bench-quick shell upgrade rollback \
	rotate-key roles backup restore outage-check pgbouncer-check takeover-check chaos soak db db-stop

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
BACKUPS ?= var/backups

VENV_PYTHON := .venv/bin/python
DATABASE := $(VENV_PYTHON) scripts/embedded_postgres.py
ON_DATABASE := $(DATABASE) exec -- $(VENV_PYTHON)
MANAGE := $(ON_DATABASE) manage.py
# One test run alone says nothing about coverage.
ALL_TESTS := -n auto --cov --cov-report=term:skip-covered --cov-fail-under=95
RANDOM_KEY := $$($(VENV_PYTHON) -c 'import secrets; print(secrets.token_urlsafe(64))')

# On a database of its own, whatever else is named.
CHECK = env ENVIRONMENT=test DATABASE_URL=postgres://127.0.0.1/none $(VENV_PYTHON) -m tests.checks

# One file for each supported Python and both processors; what is pinned stays.
LOCK = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--python $(VENV_PYTHON) --custom-compile-command "make lock" $(ARGS)

# Each recipe that stays in the foreground is one exec: make passes SIGTERM to its
# direct child and to nobody else.

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

setup: .venv/.complete ## Install what development needs, into .venv (the others do it as needed)

env: ## Write .env with generated secrets, for docker compose, unless there is one
	@$(PYTHON) scripts/make_env.py

run: export ENVIRONMENT := demo
run dev: export HOST := $(HOST)
run dev: export PORT := $(PORT)
run: setup ## Serve the demo; HOST=127.0.0.1 and PORT=8000 say where
	@exec $(MANAGE) serve

dev: export ENVIRONMENT := development
dev: setup ## Serve for development: debug pages, and a reload when a file changes
	@exec $(MANAGE) serve --autoreload

test: export ENVIRONMENT := test
test: setup ## Run every test with coverage, or those that ARGS="-k word" names
	@exec $(ON_DATABASE) -m pytest $(or $(ARGS),$(ALL_TESTS))

check: export ENVIRONMENT := test
check: setup ## Lint, imports, types, image, migrations and their locks, production settings, API schema
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	.venv/bin/lint-imports --no-cache --no-logo
	$(ON_DATABASE) -m mypy
	.venv/bin/hadolint Dockerfile
	$(CHECK).pins --offline
	$(MANAGE) makemigrations --check --dry-run
	LOG_LEVEL=WARNING $(MANAGE) lintmigrations --warnings-as-errors --quiet ok
	@echo manage.py check --deploy --fail-level WARNING
	@exec env ENVIRONMENT=production \
		SECRET_KEY="$(RANDOM_KEY)" JWT_SIGNING_KEY="$(RANDOM_KEY)" \
		ALLOWED_HOSTS=tetradx.example CORS_ALLOWED_ORIGINS=https://tetradx.example \
		$(MANAGE) check --deploy --fail-level WARNING
	$(MANAGE) spectacular --validate --fail-on-warn --file /dev/null

fuzz: export ENVIRONMENT := test
fuzz: setup ## Attack the service with 25,000 requests made up from its schema (ten minutes)
	$(ON_DATABASE) -m pytest --quiet -n auto --hypothesis-profile=fuzz tests/properties
	@exec $(CHECK).fuzz $(ARGS)

audit: setup ## Ask PyPI whether an installed package has a known vulnerability
	@exec $(CHECK).audit

lock: setup ## Write requirements*.txt, with all that is pulled in and hashes, from requirements*.in
	$(LOCK) --output-file requirements.txt requirements.in
	$(LOCK) --output-file requirements-dev.txt --constraint requirements.txt requirements-dev.in

pins: setup ## Whether every pin can be installed on each Python and processor, by PyPI's word
	@exec $(CHECK).pins

bench bench-quick: export ENVIRONMENT := demo
bench: setup ## Measure all beside a hand-written floor, at three sizes (half an hour)
	@exec $(MANAGE) bench $(ARGS)

bench-quick: setup ## The same at one size; fails under half of the floor (minutes)
	@exec $(MANAGE) bench --quick $(ARGS)

shell: export ENVIRONMENT := demo
shell: setup ## Open Python on the demo's database, or run the script on standard input
	@exec $(MANAGE) shell

upgrade: ## Build what is checked out, back up, migrate, and replace the running backend
	@docker tag "$$(docker inspect --format '{{.Image}}' tetraDX-backend)" tetradx-backend:previous
	docker compose build
	@$(MAKE) --no-print-directory backup
	docker compose run --rm --no-deps migrate
	docker compose up --detach --wait

rollback: ## Put the image that ran before the last upgrade back
	docker tag tetradx-backend:previous tetradx-backend:latest
	docker compose up --detach --wait --no-build --no-deps --force-recreate backend

rotate-key: ## Give NAME=SECRET_KEY or JWT_SIGNING_KEY in .env another value
	@exec $(PYTHON) scripts/rotate_key.py $(NAME)

roles: ## Give the database's roles the passwords in .env, and to each what is its own
	docker compose up --detach --wait db
	docker compose exec -T db sh < deploy/postgres/init.sh

backup: ## Dump the stack's database into var/backups, and check the dump by restoring it
	@exec $(PYTHON) scripts/backup.py make "$(BACKUPS)"

restore: ## Put the dump FILE= in the database's place; what was there is kept beside it
	@exec $(PYTHON) scripts/backup.py restore "$(FILE)" "$(BACKUPS)"

outage-check: setup ## What clients are answered while a database is stopped and frozen (a minute)
	@exec $(CHECK).outage $(ARGS)

pgbouncer-check: setup ## The main job through a real PgBouncer, which must be installed
	@exec $(CHECK).pgbouncer

takeover-check: setup ## Rehearse a take-over of 300,000 referrals on a database made for it (minutes)
	@exec $(CHECK).takeover $(ARGS)

chaos: setup ## What clients get while something breaks: 20 faults, in 5 minutes
	@exec $(CHECK).chaos $(ARGS)

soak: setup ## Twenty people at work for ten minutes: errors, connections, memory
	@exec $(CHECK).soak $(ARGS)

db: setup ## Start the database alone, to stay up until db-stop; prints its DATABASE_URL
	@exec $(DATABASE) start

db-stop: setup ## Stop that database, unless somebody still uses it
	@exec $(DATABASE) stop

# Without the stamp nobody knows how far an earlier set-up came: begin anew.
.venv/.complete: $(VENV_PYTHON) requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("tetraDX needs Python 3.11 or newer; name one with PYTHON=")'
	@test -x $(VENV_PYTHON) -a -e $@ || { echo "Setting up .venv: a minute, once" >&2; $(PYTHON) -m venv --clear .venv; }
	@rm -f $@
	@$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.txt
	@touch $@

# Made above; here so that one whose Python is gone counts as incomplete.
$(VENV_PYTHON): ;
