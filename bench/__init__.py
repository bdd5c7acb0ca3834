"""Measurements, each run by one command against its peers."""
