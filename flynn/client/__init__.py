"""The typed client of the HTTP API (docs/api.md): what the command line and the tests talk through."""

from flynn.client.client import Client, open_client
from flynn.core.records import AppInfo, JobInfo, Line, Lines

__all__ = ["AppInfo", "Client", "JobInfo", "Line", "Lines", "open_client"]
