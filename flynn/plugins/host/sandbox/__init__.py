"""The backend on bubblewrap."""
