"""What runs in a build job: `python3 -m inside`, from the tools layer, with nothing but a standard library (3.9+)."""


class BuildFailed(Exception):
    """The build cannot go on; the text is the sentence that the developer reads."""
