"""The disk of a host: what is kept on it within a budget, and no new job once it is nearly full."""
