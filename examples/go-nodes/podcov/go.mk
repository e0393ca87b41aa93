# Written by `podcov init` from podcov.yaml: change that, not this, and run it again.
# Each target deploys what ends with coverage in it, runs the tests, ends the services to be handed over what they ran, starts them
# again, and leaves e2e-coverage.txt and e2e-coverage.html. It fails where the tests do, and where there are no data or nothing ran.

.PHONY: test-e2e-storage-coverage
test-e2e-storage-coverage:
	@rm -f e2e-coverage.txt e2e-coverage.html; status=0; before=$$(readlink .podcov/runs/latest); \
	E2E_COVERAGE=true skaffold run --profile coverage || status=$$?; \
	[ "$$(readlink .podcov/runs/latest)" != "$$before" ] && \
	cp .podcov/runs/latest/reports/go/storage.out e2e-coverage.txt && \
	cp .podcov/runs/latest/reports/go.html e2e-coverage.html || exit $$((status ? status : 1)); \
	exit $$status
