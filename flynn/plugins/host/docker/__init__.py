"""The backend on Docker Engine."""
