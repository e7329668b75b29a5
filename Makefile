.PHONY: run test lint nightly lock image

run:
	./run.sh

test:
	./verify.sh

lint:
	./verify.sh style format types imports templates

PROOF = .venv/bin/python -m bots.tests.proof
# Long searches that a change does not have to wait for.
nightly:
	NEW_EXAMPLES=1 .venv/bin/python -m pytest -n 2 -m 'nightly or hypothesis'
	$(PROOF).kill_matrix --runs 20000 --seed 1000
	$(PROOF).kill_matrix --runs 2000 --seed 2000 --double 2 --stride 3
	$(PROOF).kill_matrix --runs 1500 --seed 3000 --postgres
	$(PROOF).kill_matrix --runs 1000 --seed 4000 --mode race
	$(PROOF).kill_matrix --runs 300 --seed 5000 --mode freeze
	$(PROOF).kill_matrix --runs 2000 --seed 6000 --mode switch
	$(PROOF).kill_matrix --runs 300 --seed 7000 --mode switch --postgres
	$(PROOF).kill_matrix --runs 300 --seed 8000 --mode restore
	$(PROOF).score_mutants
	$(PROOF).kill_matrix --runs 500 --seed 9000 --http
	$(PROOF).server_kill --kills 50
	$(PROOF).broker_kill --kills 20 --runs 600 --absence 600
	$(PROOF).beats --ticks 200
	$(PROOF).machine --examples 5000 --seed $$(date +%j)

# Pins and hashes for every platform and Python; needs uv.
LOCK = uv pip compile --quiet --universal --python-version 3.11 --only-binary :all: --generate-hashes --no-header --no-annotate
lock:
	$(LOCK) requirements.txt --output-file requirements.lock
	$(LOCK) requirements-dev.txt --constraint requirements.lock --output-file requirements-dev.lock

image:
	docker build --tag tradingbot .
