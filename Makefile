# make demo    set-up and the main job on real servers      make test   set-up and all tests
# make bench   a table of speed, memory and decision quality (BENCH="halt parse" for some)  make soak   what takes longer than a test run may
# make sanitize  the tests of everything but whole rollouts, watched by ThreadSanitizer and then by AddressSanitizer
# make fuzz      a fuzzer for every parser that faces the network, 60 s each (FUZZ_SECONDS)
SWIFT ?= swift
JOBS ?= 2
DEBUG = build -j $(JOBS)
export SWIFT_BACKTRACE = enable=no

.PHONY: all setup build release demo test unit search mutants bench soak sanitize fuzz lint format clean

all: build

setup:
	@Tools/setup.sh

build: setup
	$(SWIFT) $(DEBUG)

release: setup
	$(SWIFT) build -c release -j $(JOBS)

demo: setup
	@Tools/demo.sh

# Beside the tests, which mostly wait: the search of the rollout machine and of its mutants, when nothing else wants the processor.
test: setup
	$(SWIFT) $(DEBUG) --build-tests
	Tools/test.sh mutants

unit: setup
	$(SWIFT) $(DEBUG) --build-tests
	Tools/test.sh

search: setup
	$(SWIFT) build -c release -j $(JOBS) --product serin-search
	.build/release/serin-search

# Searches the machine as it is as well, in a copy that is compiled much sooner than its modules are.
mutants: setup
	python3 Tests/Search/mutants.py

bench: setup
	$(SWIFT) build -c release -j $(JOBS)
	.build/release/serin-bench $(BENCH)

soak: setup
	Tools/soak.sh

# Watched by both, or as SANITIZE="address CryptoTests" says. Reports stay in build/sanitize.
sanitize: setup
	Tools/sanitize.sh $(SANITIZE)

# Every parser that faces the network, FUZZ_SECONDS each (FUZZ="hook-slack json" for some). What breaks one stays in build/fuzz.
fuzz: setup
	Tools/fuzz.sh $(FUZZ)

lint: setup
	$(SWIFT) format lint --strict --recursive --parallel Sources Tests Tools examples Package.swift
	Tools/tidy.sh

format:
	$(SWIFT) format --in-place --recursive --parallel Sources Tests Tools examples Package.swift

clean:
	rm -rf .build build
