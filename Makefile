.PHONY: run test lint nightly lock image

run:
	./run.sh

test:
	./verify.sh

lint:
	./verify.sh style format types imports templates

# Long searches that a change does not have to wait for.
nightly:
	.venv/bin/python -m pytest -n 2 -m nightly

# Pins and hashes for every platform and Python; needs uv.
LOCK = uv pip compile --quiet --universal --python-version 3.11 --only-binary :all: --generate-hashes --no-header --no-annotate
lock:
	$(LOCK) requirements.txt --output-file requirements.lock
	$(LOCK) requirements-dev.txt --constraint requirements.lock --output-file requirements-dev.lock

image:
	docker build --tag tradingbot .
