"""The host agent, measured beside bare bubblewrap, a bare start and Docker: `make bench-host`."""
