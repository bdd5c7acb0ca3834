"""Buildpacks that somebody brings, in a real build: put on the shelf, run one after the other, and what they leave."""

import json
from pathlib import Path

from tests.cluster.grid import Grid
from tests.plugins.builder import herokuish
from tests.plugins.builder.building import write_app

APP = {"requirements.txt": "", "package.json": "{}", "server.js": "", "index.html": "A page", "Procfile": ""}


async def test_two_like_herokus_build_and_serve(grid: Grid, tmp_path: Path) -> None:
    python = write_app(tmp_path / "python", herokuish.PYTHON)
    node = write_app(tmp_path / "node", herokuish.NODE)
    procfile = (
        "web: [[ $WEB_CONCURRENCY == 2 && $LANG == C.UTF-8 && $BOTH == mine ]] && exec python -m http.server $PORT\n"
    )
    app = write_app(tmp_path / "app", {**APP, "Procfile": procfile})
    await grid.ok("create", "packs")
    await grid.ok("buildpack", "set", str(node), "-a", "packs")
    await grid.ok("buildpack", "add", str(python), "--index", "1", "-a", "packs")
    await grid.ok("env", "set", "COLOR=red", "BOTH=mine", "-a", "packs")
    said = await grid.ok("deploy", str(app), "-a", "packs")
    lines = [line.strip() for line in said.out.splitlines()]
    assert "-----> Python 3 by /app/.heroku/python/bin/python" in lines
    assert "lines at /build/.heroku/python/bin/python" in lines
    assert "config: red version: none" in lines
    assert await grid.get("packs") == (200, "A page")
    again = await grid.ok("deploy", str(app), "-a", "packs")
    assert "-----> Using cached node" in again.out
    listed = json.loads((await grid.ok("buildpack", "--json", "-a", "packs")).out)
    assert [pack[:6] for pack in listed["buildpacks"]] == ["shelf:", "shelf:"]
    wrong = await grid.flynn("buildpack", "set", "heroku/go", "-a", "packs")
    assert "heroku/go is a name at Heroku; write " in wrong.err
    await grid.ok("buildpack", "clear", "-a", "packs")
    (app / "Procfile").write_text("web: python -m http.server $PORT\n")
    assert "-----> Using Python 3." in (await grid.ok("deploy", str(app), "-a", "packs", limit=200)).out
