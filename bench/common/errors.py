"""The one error of a measurement."""


class NotMeasured(Exception):
    """A measurement could not be made, or what was measured is not what was meant; the text says why."""
