"""Programs that print, read and follow, each a process of its own."""
