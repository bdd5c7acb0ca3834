"""flynn: simple bricks that turn a few machines into a grid which hosts applications."""

__version__ = "0.1.0"
