"""What runs in a build job: `python3 -m inside`, from the tools layer, with nothing but a standard library (3.9+)."""

SUBMODULES = ".flynn/submodules.json"
"""Where a source says which submodules it has (`submodules.py`)."""


class BuildFailed(Exception):
    """The build cannot go on; the text is the sentence that the developer reads. `told`: it was printed already."""

    def __init__(self, sentence: str, told: bool = False) -> None:
        super().__init__(sentence)
        self.told = told
