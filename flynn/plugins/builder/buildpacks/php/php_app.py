"""The buildpack php: the packages of composer.json in `vendor`, and PHP's own server. Run by `bin/compile`."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import Any

from ..lib.pack import Build, Kept, begin, certificates, digest, fail, needed, output, own, run, say, tell

VERSION = "1"
OTHER = "https://github.com/heroku/heroku-buildpack-php"
OUT_OF_DATE = "composer.lock may be out of date: run composer update on your machine, and commit what it changes"

PROFILE = """\
export PATH="$APP/vendor/bin:$PATH"
export PHP_CLI_SERVER_WORKERS="${WEB_CONCURRENCY:-${PHP_CLI_SERVER_WORKERS:-4}}"
"""


def main(arguments: list[str]) -> None:
    build = begin(arguments)
    php = needed("php", "php-cli", OTHER)
    version = output([php, "-r", "echo PHP_VERSION;"])
    say(f"Using the machine's php {version}")
    if build.has("composer.json"):
        install(build, version, load(build))
    os.makedirs(build.path(".php"), exist_ok=True)
    shutil.copy2(own(__file__, "router.php"), build.path(".php", "router.php"))
    root = next((name for name in ("public", "web") if build.has(name, "index.php")), ".")
    build.web(f"php -S 0.0.0.0:$PORT -t {root} .php/router.php")
    build.profile("php.sh", PROFILE)


def load(build: Build) -> dict[str, Any]:
    try:
        found = json.loads(build.read("composer.json") or "{}")
    except ValueError as error:
        fail(f"composer.json cannot be read: {error}")
    return found if isinstance(found, dict) else fail("composer.json cannot be read: it does not hold an object")


def install(build: Build, version: str, told: dict[str, Any]) -> None:
    """The packages, or what is kept of the last build where the same are asked for and no script takes part."""
    composer = needed("composer", "composer", OTHER)
    os.environ.update({"COMPOSER_HOME": os.path.join(build.cache, "composer"), "COMPOSER_ALLOW_SUPERUSER": "1",
                       "COMPOSER_NO_INTERACTION": "1"})  # fmt: skip
    if bundle := certificates():
        os.environ.setdefault("SSL_CERT_FILE", bundle)
    packages = [name for name in told.get("require") or {} if "/" in name]
    if packages and not build.has("composer.lock"):
        fail("composer.json asks for packages, but there is no composer.lock: run composer update, and commit it")

    def make() -> None:
        say("Installing packages with composer")
        run([composer, "install", "--no-dev", "--prefer-dist", "--optimize-autoloader", "--no-progress"], OUT_OF_DATE)

    key = digest(VERSION, version, json.dumps(told, sort_keys=True), build.read("composer.lock"))
    if told.get("scripts") or told.get("repositories") or told.get("autoload"):
        make()
    elif Kept(build, "php", "vendor").install(key, make):
        tell("Nothing has changed in what it needs: installed as before")


if __name__ == "__main__":
    main(sys.argv[1:])
