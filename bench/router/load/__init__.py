"""Programs that make load or answer it, each a process of its own on the core that is not measured."""
