"""Deploys, measured beside the same steps without flynn: `make bench-deploy`."""
