"""flynn demo: a grid, an app, a failure, a rollback, and nothing left, in a minute."""

import asyncio
import time
from pathlib import Path

import click

from flynn.cli.words import paint

LIMIT = 300.0
"""Seconds that the whole demo may take; then it fails and cleans up."""


@click.command()
@click.option(
    "--app-dir", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Deploy this app instead."
)
def demo(app_dir: Path | None) -> None:
    """Show on this machine what flynn does, in about a minute; every step is checked, nothing is left behind."""
    source = (app_dir or default_app()).resolve()
    began = time.monotonic()
    asyncio.run(show(source))
    click.echo("\n" + paint(f"All of it worked, in {time.monotonic() - began:.0f} s.", "green"))


async def show(source: Path) -> None:
    """Play the demo in a grid of its own; on failure print the end of the daemon's log."""
    from flynn.cli.demo.grid import open_grid
    from flynn.cli.demo.steps import play
    from flynn.cli.demo.transcript import NotSo

    async with open_grid() as grid:
        try:
            async with asyncio.timeout(LIMIT):
                await play(grid, source)
        except Exception as error:
            click.echo("\nThe end of the daemon's log:", err=True)
            for line in grid.tail():
                click.echo("    " + line, err=True)
            if isinstance(error, TimeoutError):
                raise NotSo(f"the demo was not over within {LIMIT:g} s") from None
            raise


def default_app() -> Path:
    """examples/flask of the source tree that this is, or the copy that comes with the package."""
    package = Path(__file__).resolve().parents[2]
    example = package.parent / "examples" / "flask"
    return example if (example / "Procfile").is_file() else package / "demo_app"
