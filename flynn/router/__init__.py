"""The HTTP router: the data plane that every request of every user crosses."""
