"""Every change of the grid as a stream, with a bounded history."""
