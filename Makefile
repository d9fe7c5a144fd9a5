# Everything a developer or CI does, by name. "make help" lists the targets; each is a few lines, so that it can be run by hand too.

GO     ?= go
PYTHON ?= /usr/bin/python3
ROUNDS ?= 5
FUZZTIME ?= 60s
COMMIT := $(shell git describe --always --dirty --abbrev=12 2>/dev/null)

# Where tests/env/roots.sh keeps the Debian roots. Said here, so that Go's test cache knows which tests saw them.
ROOTS   ?= /var/cache/spindle-tests/roots
PYTHONS := .cache/pythons
# How many parity themes run at once: one more than there are cores here, as each waits now and then.
AT_ONCE ?= $(shell expr $$(nproc) + 1)
# Mitogen to compare with, which profile of cases, and where the results go, without an end.
MITOGEN ?= $(CURDIR)/.cache/mitogen
PROFILE ?= goals
RESULTS ?= benchmarks/results/$(PROFILE)
TOOL    := $(GO) tool -modfile=tools/go.mod

# Under CI a test that cannot run is a failure.
ifdef CI
export SPINDLE_TEST_REQUIRE := 1
endif
export CGO_ENABLED ?= 1

.DEFAULT_GOAL := build
.PHONY: parity help build check check-needs format vet lint race python shell test needs roots unit e2e demo bench bench-quick fuzz soak clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

build: ## build bin/spindle
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.commit=$(COMMIT)' -o bin/spindle ./cmd/spindle

check: check-needs format vet lint race python shell ## everything that needs no other machine: style, lint, race tests, Python, shell

check-needs:
	@tools/need.sh gcc=gcc $(PYTHON)=python3 pyflakes3=pyflakes3 shellcheck=shellcheck ssh=openssh-client ansible-playbook=ansible-core

format: ## fail where gofumpt would change something
	@unformatted=$$($(TOOL) gofumpt -l $$(git ls-files '*.go')) || exit; \
	[ -z "$$unformatted" ] || { echo "run gofumpt -w on:"; echo "$$unformatted"; exit 1; }

vet:
	$(GO) vet ./...
	$(GO) vet -tags e2e ./tests/...
	cd tests/kubeapi && $(GO) vet ./...

lint:
	$(TOOL) staticcheck ./...
	$(TOOL) staticcheck -tags e2e ./tests/...
	tools/python-lint.sh

race: ## run the Go tests with the race detector, and this machine's Python
	SPINDLE_TEST_ROOTS=/nonexistent $(GO) test -race -timeout 30m ./...

python: ## run the Python tests with this machine's Python
	tools/python-tests.sh $(PYTHON)

shell:
	git ls-files -z '*.sh' .ci | xargs -0 shellcheck -s sh

test: needs build roots unit e2e ## run all tests; installs what they need (Debian, as root)

needs:
	@tools/need.sh gcc=gcc $(PYTHON)=python3 ansible-playbook=ansible-core ssh=openssh-client sshd=openssh-server sudo=sudo doas=opendoas \
		sshpass=sshpass ip=iproute2 unshare=util-linux ps=procps mmdebstrap=mmdebstrap \
		busybox=busybox zsh=zsh fish=fish tcsh=tcsh ksh=ksh

roots: ## build the Debian roots that tests run in (a minute each, once)
	SPINDLE_TEST_ROOTS=$(ROOTS) tests/env/roots.sh bullseye bookworm trixie sid engines workshop
	tools/pythons.sh $(PYTHONS)

unit: ## run the Go and Python tests, with the Pythons of all roots
	SPINDLE_TEST_ROOTS=$(ROOTS) $(GO) test -race -timeout 40m ./...
	tools/python-tests.sh $(PYTHON) $(CURDIR)/$(PYTHONS)/python*

e2e: ## run the end-to-end tests: real Ansible, sshd and sudo
	SPINDLE_TEST_ROOTS=$(ROOTS) SPINDLE_TEST_BINARY=$(CURDIR)/bin/spindle $(GO) test -tags e2e -p 1 -parallel $(AT_ONCE) -timeout 75m ./tests/...

parity: build ## compare Spindle with stock Ansible: PLAYBOOK=x.yml [VERSION=2.19|all] [WITH=3.9|all] [STRATEGY=mitogen_free|all] [WAY=callback] [INVENTORY=file] [ARGS='...']
	@[ -n "$(PLAYBOOK)" ] || { echo "which playbook? make parity PLAYBOOK=path/to/any.yml; what there is for it: docs/development.md" >&2; exit 2; }
	@SPINDLE_TEST_ROOTS=$(ROOTS) $(GO) test -tags e2e -c -o bin/parity ./tests/e2e
	@cd tests/e2e && SPINDLE_TEST_REQUIRE=1 SPINDLE_TEST_ROOTS=$(ROOTS) SPINDLE_TEST_BINARY=$(CURDIR)/bin/spindle \
		PARITY_PLAYBOOK=$(abspath $(PLAYBOOK)) PARITY_VERSION=$(VERSION) PARITY_PYTHON=$(WITH) PARITY_STRATEGY=$(STRATEGY) PARITY_INVENTORY=$(if $(INVENTORY),$(abspath $(INVENTORY))) \
		PARITY_ARGS='$(ARGS)' SPINDLE_PARITY_WAY=$(WAY) ../../bin/parity -test.run '^TestPlaybook$$'

demo: ## see it work: one playbook under stock Ansible and under Spindle, on a throw-away target
	@tools/need.sh ansible-playbook=ansible-core ssh=openssh-client $(PYTHON)=python3
	@$(MAKE) --no-print-directory build
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/demo ./benchmarks/cmd/demo
	@bin/demo $(ARGS)

bench: ## measure everything that docs/performance.md shows, as root (PROFILE=goals, short or containers, ROUNDS=5, ARGS='--only loop,loop@26ms'); results in RESULTS
	@tools/need.sh ansible-playbook=ansible-core ssh=openssh-client $(PYTHON)=python3 ip=iproute2 nsenter=util-linux tcpdump=tcpdump git=git mmdebstrap=mmdebstrap
	@benchmarks/mitogen.sh $(MITOGEN) >/dev/null
	@$(MAKE) --no-print-directory build bin/bench
	@roots=$$(bin/bench --profile $(PROFILE) --roots $(ARGS)) && SPINDLE_TEST_ROOTS=$(ROOTS) tests/env/roots.sh $$roots >/dev/null
	@bin/bench --profile $(PROFILE) --rounds $(if $(filter command line environment,$(origin ROUNDS)),$(ROUNDS),0) --root $(ROOTS)/workshop \
		--mitogen $(MITOGEN) --out $(RESULTS) $(ARGS)

bench-quick: ## compare stock Ansible, Mitogen and Spindle side by side on loopback, without root (ROUNDS=5, ARGS='--only ping')
	@tools/need.sh ansible-playbook=ansible-core ssh=openssh-client $(PYTHON)=python3
	-@tools/need.sh /usr/share/doc/ansible-mitogen=ansible-mitogen
	@$(MAKE) --no-print-directory build bin/bench
	@bin/bench --profile quick --rounds $(ROUNDS) $(ARGS)

.PHONY: bin/bench
bin/bench:
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/bench ./benchmarks/cmd/bench

fuzz: ## run every fuzz target for FUZZTIME
	tools/fuzz.sh $(FUZZTIME)

soak: build ## look for what happens rarely: shuffled race tests again and again, ten thousand tasks of one agent, then a long round of killing
	$(GO) test -race -shuffle on -count 10 -timeout 4h ./...
	SPINDLE_TEST_ALL=1 SPINDLE_TEST_ROOTS=$(ROOTS) $(GO) test -count 1 -timeout 4h -v -run TestManyTasksLeaveNothingBehind ./bootstrap
	SPINDLE_TEST_HOPS=9500 SPINDLE_TEST_BINARY=$(CURDIR)/bin/spindle $(GO) test -count 1 -timeout 1h -v ./benchmarks/scale
	SPINDLE_TEST_ROOTS=$(ROOTS) SPINDLE_TEST_BINARY=$(CURDIR)/bin/spindle SPINDLE_TEST_KILLS=100 \
		$(GO) test -tags e2e -count 1 -timeout 4h ./tests/e2e/faults/...
	SPINDLE_TEST_ROOTS=$(ROOTS) SPINDLE_TEST_BINARY=$(CURDIR)/bin/spindle SPINDLE_TEST_ALL=1 \
		$(GO) test -tags e2e -count 1 -parallel $(AT_ONCE) -timeout 8h -run 'TestTourIsTheSame|TestParity|TestManyAccounts|TestNoLog|TestReboot' ./tests/e2e

clean: ## remove what was built here (not the roots)
	rm -rf bin .cache
