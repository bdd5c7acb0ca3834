"""Clients on the standard streams of a job, or of a command beside it."""
