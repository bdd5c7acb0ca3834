"""What the jobs print: taken in, kept within bounds, read, followed, and sent to sinks."""
