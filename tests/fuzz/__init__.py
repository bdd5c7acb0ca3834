"""Fuzzing of the router's readers. `make fuzz` runs it for FUZZ_SECONDS; a short run is one of the tests."""
