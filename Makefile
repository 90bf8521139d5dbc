# What a person types. Each target is one line over `docker compose` or `takehome`.
.DEFAULT_GOAL := help
.PHONY: help up down local public stack test bench bench-big capacity new convert load train verify models submit review doctor secrets key lock upgrade clean
BIN := .venv/bin
# In the running container, else in the environment of `make local`.
TAKEHOME = $(if $(shell docker compose ps --quiet --status running python 2>/dev/null),docker compose exec python takehome,\
  $(MAKE) --silent .venv/.ready && $(BIN)/takehome)
# Its quick part needs no more than any Python; without one, Compose speaks for itself.
CHECK = ! command -v python3 >/dev/null || python3 containers/takehome/src/takehome/doctor/quick.py
# A value as it was typed, dollars and quotes too, for the shell.
quoted = '$(subst ','\'',$(value $1))'
STORE := $(if $(findstring compose.store.yml,$(shell grep -s '^COMPOSE_FILE=' .env)),-f compose.store.yml)
PUBLIC := docker compose -f docker-compose.yml $(STORE) -f compose.public.yml
DOOR = $(PUBLIC) run --rm --no-deps secrets
ENVIRONMENTS := $(wildcard containers/*/environment.yml)
COMPILE := uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --no-annotate --no-header \
  - containers/takehome/pyproject.toml --all-extras tests/requirements.txt -o containers/constraints.txt

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: ## Build what changed and start the four services in Docker
	@$(CHECK) up
	docker compose up --build --remove-orphans

down: ## Stop them; notebooks, data and models stay in volumes/
	docker compose --profile cluster down --remove-orphans

local: .venv/.ready ## Start the same four services without Docker
	@$(CHECK) local
	@$(BIN)/takehome local

# Containers that come and go make browsers drop what they are loading, and a swarm disturbs other containers: one
# after the other.
IN_CONTAINERS := $(addprefix tests/test_,containers.py review.py cluster.py devcontainer.py)
ALONE := $(addprefix tests/test_,public.py stack.py)

# Threads of several tests on the same cores wait for each other spinning, ten times as long as one would take alone.
test: export OMP_NUM_THREADS = 1
test: export OPENBLAS_NUM_THREADS = 1
test: .venv/.tests ## Run every test; without Docker or a browser some are skipped
	$(BIN)/pytest tests -n 3 --dist loadfile $(addprefix --ignore=,$(IN_CONTAINERS) $(ALONE))
	$(BIN)/pytest $(IN_CONTAINERS) -n 3 --dist loadfile
	$(BIN)/pytest $(ALONE)

bench: .venv/.ready ## Measure the API beside others (25 minutes; needs wrk): tables in README.md, chart in resources/
	@$(BIN)/python -m bench $(if $(ROUNDS),--rounds $(ROUNDS))

# A swarm takes limits from `deploy`, and numbers without quotes. A new tag is what makes it replace the replicas.
TAG := $(or $(TAG),$(shell date +%Y%m%d-%H%M%S))
STACK = docker compose --project-name takehome config | \
  TAG=$(TAG) NODE=$$(docker info --format '{{.Swarm.NodeID}}') \
  CADDYFILE=$$(cksum <containers/caddy/cluster.Caddyfile | cut -d' ' -f1) \
  docker compose --project-name takehome --file - --file compose.cluster.yml
AS_STACK := sed -E -e '/^name:|^    (cpu_quota|mem_limit|memswap_limit|pids_limit|shm_size):/d' \
  -e 's/(published|size): "([0-9]+)"/\1: \2/'

stack: ## Run or update replicas on all hosts of a swarm: make stack REPLICAS=4 REGISTRY=127.0.0.1:5000
	@docker info --format '{{.Swarm.LocalNodeState}}' | grep -qx active || \
	  { echo "This Docker engine is in no swarm. Begin one: docker swarm init" >&2; exit 1; }
	$(STACK) build
	$(if $(REGISTRY),$(STACK) push fastapi streamlit)
	$(STACK) config | $(AS_STACK) | docker stack deploy --detach=false --prune --compose-file - takehome

bench-big: .venv/.ready ## Measure data larger than memory: 310 million rows to a served model (10 minutes, 1 GB of disk)
	@$(BIN)/python -m bench.big

capacity: .venv/.tests ## Plan replicas from what the API costs here (8 minutes; needs wrk): table in README.md
	@$(BIN)/python -m bench.capacity $(if $(ROUNDS),--rounds $(ROUNDS))

new: ## Write a notebook for a file: make new DATA=volumes/static/loans.csv TARGET=defaulted
	@$(TAKEHOME) new $(call quoted,DATA) --target $(call quoted,TARGET)

# In the container the data is read-only: this command alone is given it to write.
convert: ## Rewrite a file as UTF-8 with commas, where reading asks for it: make convert DATA=volumes/static/loans.csv
	@$(subst exec,run --rm --no-deps --volume '$(CURDIR)/volumes/static:/writable/static' --env STATIC_DIR=/writable/static,$(TAKEHOME)) convert $(call quoted,DATA)

load: ## Load files that came since the start, or changed, into PostgreSQL
	@$(TAKEHOME) load

train: ## Run a notebook, whose model is then served: make train NOTEBOOK=volumes/notebooks/loans.ipynb
	@$(TAKEHOME) train $(if $(NOTEBOOK),$(call quoted,NOTEBOOK))

verify: ## Run a notebook again in a clean place and compare: make verify NOTEBOOK=volumes/notebooks/loans.ipynb
	@$(TAKEHOME) verify $(if $(NOTEBOOK),$(call quoted,NOTEBOOK))

models: ## List the models that are kept; serve one again: make models USE=VERSION
	@$(TAKEHOME) models $(if $(USE),--use $(call quoted,USE))

submit: ## Verify the notebook and write volumes/submission/submission.zip: make submit NOTEBOOK=... WITH_DATA=1 FORCE=1
	@$(TAKEHOME) submit $(if $(NOTEBOOK),$(call quoted,NOTEBOOK)) $(if $(WITH_DATA),--with-data) $(if $(FORCE),--force)

review: .venv/.ready ## Run a submission again, shut in, and write review.html: make review SUBMISSION=submission.zip SERVE=1
	@$(BIN)/takehome review $(call quoted,SUBMISSION) $(if $(SERVE),--serve) $(if $(TRUST),--trust)

doctor: .venv/.ready ## Say what is wrong with this machine or this folder, with the command that mends it
	@$(BIN)/takehome doctor

secrets: ## Make the secrets of the locked door that are missing, in secrets/
	@$(DOOR) takehome secrets

key: ## Make an API key, or replace it: make key NAME=anna
	@$(DOOR) takehome key $(call quoted,NAME)

public: ## Start the services behind the locked door, for others to see
	$(PUBLIC) up --build

lock: .venv/.tests ## Write containers/constraints.txt after a line was added; other versions stay
	$(BIN)/python containers/requirements.py | $(BIN)/$(COMPILE)

upgrade: .venv/.tests ## Write containers/constraints.txt with the newest versions of everything
	$(BIN)/python containers/requirements.py | $(BIN)/$(COMPILE) --upgrade

clean: ## Remove images, containers, .venv and .bench; volumes/ stays
	docker compose --profile cluster down --rmi local
	rm -rf .venv .bench

# The environment of `make local` and `make test`: built once, renewed when a file that names packages has changed.
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint containers/constraints.txt
FIT := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))

$(BIN)/python:
	@for python in python3.13 python3.14 python3.12 python3.11 python3; do \
	  $$python -c '$(FIT)' 2>/dev/null && exec $$python -m venv --clear .venv; \
	done; echo "Python 3.11 or newer with venv is needed (Debian: apt install python3-venv); none was found." >&2; exit 1

.venv/.ready: $(ENVIRONMENTS) containers/constraints.txt containers/requirements.py containers/takehome/pyproject.toml | $(BIN)/python
	@echo "Installing the packages of containers/*/environment.yml into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint containers/constraints.txt uv pyyaml
	@$(BIN)/python containers/requirements.py | $(INSTALL) --requirement - --editable 'containers/takehome[local]'
	@touch $@

.venv/.tests: .venv/.ready tests/requirements.txt
	@$(INSTALL) --requirement tests/requirements.txt
	@touch $@
