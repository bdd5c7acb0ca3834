"""The host agent: starts, watches and stops the jobs of this machine. Jobs outlive the daemon and are re-adopted."""
