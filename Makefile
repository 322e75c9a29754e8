# The commands of the project. `make` alone lists them: the text after ## is the list.

# Tests of the books run on SQLite and on PostgreSQL: on the database named in PERENNIAL_TEST_POSTGRES if there is one,
# else on a cluster of their own that this script makes and removes.
PG := $(if $(PERENNIAL_TEST_POSTGRES),,scripts/with-postgres)

# Tools that only `make lint` needs; they are not modules of ours.
STATICCHECK   := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: help build run test check quick golden simulate crash nodes bench fmt lint pg

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

build: ## The binary, as bin/perennial
	CGO_ENABLED=0 go build -trimpath -o bin/perennial ./cmd/perennial

run: ## A gateway to try things on, with sample data and the sandbox bank
	go run ./cmd/perennial demo

test: ## All that must hold: format, vet, build, every test on both databases with the race detector
	scripts/test

check: test ## What CI runs, which is make test

quick: ## The tests without race detector and PostgreSQL, for the loop while writing
	PERENNIAL_TEST_POSTGRES= go test ./...

golden: ## Write the expected answers in testdata anew from what the code does; read the difference before you commit it
	PERENNIAL_UPDATE_GOLDEN=1 $(PG) go test ./...
	git status --short

simulate: build ## Stories of crashes and a lying bank, on SQLite and PostgreSQL, until told to stop
	PERENNIAL_TEST_FSYNC=off $(PG) bin/perennial simulate --engine both --stories 0 || \
		{ [ $$? -eq 69 ] && bin/perennial simulate --stories 0; }

crash: ## A hundred kill -9 of servers on each database while renewals and clients' charges go on, compared with the bank
	PERENNIAL_CRASH_KILLS=$(or $(KILLS),100) $(PG) go test ./cmd/perennial -run '^TestCrashes$$' -v -count=1 -timeout 60m

nodes: ## Three servers take 100,000 due renewals on PostgreSQL while one after the other is killed
	PERENNIAL_NODES_DUE=$(or $(DUE),100000) $(PG) go test ./cmd/perennial -run '^TestNodes$$' -v -count=1 -timeout 60m

bench: ## Renewals and charges on SQLite, as a ratio to the bare database
	go run ./cmd/perennial bench renewals
	go run ./cmd/perennial bench charges

fmt: ## Bring all code into the form of gofmt
	gofmt -w .

lint: ## staticcheck and golangci-lint, fetched and built on first use, which takes minutes
	go run $(STATICCHECK) ./...
	go run $(GOLANGCI_LINT) run

pg: ## psql on a PostgreSQL cluster that is gone afterwards
	$(PG) sh -c 'psql "$$PERENNIAL_TEST_POSTGRES"'
