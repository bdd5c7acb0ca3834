"""The buildpack ruby: the gems of a Gemfile in `vendor/bundle`, and the assets of Rails. Run by `bin/compile`."""

from __future__ import annotations

import os
import re
import sys

from ..lib.pack import Build, Kept, begin, certificates, digest, needed, output, run, say, tell, warn

VERSION = "1"
OTHER = "https://github.com/heroku/heroku-buildpack-ruby"
OUT_OF_DATE = "Gemfile.lock may be out of date: run bundle install on your machine, and commit what it changes"

PROFILE = """\
export BUNDLE_PATH="$APP/vendor/bundle" BUNDLE_GEMFILE="$APP/Gemfile"
export BUNDLE_WITHOUT="${BUNDLE_WITHOUT:-development:test}"
export PATH="$APP/bin:$(echo "$APP"/vendor/bundle/ruby/*/bin):$PATH"
export RACK_ENV="${RACK_ENV:-production}" LANG="${LANG:-C.UTF-8}"
"""
RAILS_PROFILE = """\
export RAILS_ENV="${RAILS_ENV:-production}" RAILS_LOG_TO_STDOUT="${RAILS_LOG_TO_STDOUT:-enabled}"
export RAILS_SERVE_STATIC_FILES="${RAILS_SERVE_STATIC_FILES:-enabled}"
"""


def main(arguments: list[str]) -> None:
    build = begin(arguments)
    needed("ruby", "ruby ruby-dev", OTHER)
    bundle = needed("bundle", "bundler", OTHER)
    version = output(["ruby", "-e", "print RUBY_VERSION"])
    say(f"Using the machine's ruby {version}")
    settle(build)
    install(build, bundle, version)
    is_rails = bool(re.search(r"^ +railties \(", build.read("Gemfile.lock"), re.MULTILINE))
    if is_rails:
        precompile(build, bundle)
    if command := guess(build):
        build.web(command)
    build.profile("ruby.sh", PROFILE + (RAILS_PROFILE if is_rails else ""))


def guess(build: Build) -> str:
    """How Rails, puma and rack start, where the source says that it is one of them; else empty."""
    gems = set(re.findall(r"^ *([\w.-]+) \(", build.read("Gemfile.lock"), re.MULTILINE))
    if build.has("config", "puma.rb") and "puma" in gems:
        return "bundle exec puma -C config/puma.rb -b tcp://0.0.0.0:$PORT"
    if build.has("bin", "rails") and "railties" in gems:
        return "bundle exec rails server -b 0.0.0.0 -p $PORT"
    return (
        "bundle exec rackup config.ru --host 0.0.0.0 --port $PORT" if build.has("config.ru") and "rack" in gems else ""
    )


def settle(build: Build) -> None:
    """How bundler goes about it. With a lock file that is followed to the letter."""
    told = {"BUNDLE_PATH": build.path("vendor", "bundle"), "BUNDLE_GEMFILE": build.path("Gemfile"),
            "BUNDLE_USER_HOME": os.path.join(build.cache, "bundle"), "BUNDLE_JOBS": "4", "BUNDLE_NO_PRUNE": "1",
            "BUNDLE_SILENCE_ROOT_WARNING": "1", "BUNDLE_DISABLE_VERSION_CHECK": "1"}  # fmt: skip
    os.environ.update(told)
    os.environ.setdefault("BUNDLE_WITHOUT", "development:test")
    if build.has("Gemfile.lock"):
        os.environ["BUNDLE_FROZEN"] = "1"
    else:
        warn("there is no Gemfile.lock: each build may get other gems; commit it")
    if bundle := certificates():
        os.environ.setdefault("SSL_CERT_FILE", bundle)


def install(build: Build, bundle: str, version: str) -> None:
    lock = build.read("Gemfile.lock")
    kept = Kept(build, "ruby", "vendor/bundle")

    def make() -> None:
        say(f"Installing gems with {output([bundle, '-v'])}")
        run([bundle, "install", "--quiet"], OUT_OF_DATE)
        run([bundle, "clean", "--force"] if build.has("vendor", "bundle") else ["true"])

    if not lock or re.search(r"^PATH$", lock, re.MULTILINE):
        kept.restore(kept.newest())
        make()
        kept.keep("local")
    elif kept.install(digest(VERSION, version, os.environ["BUNDLE_WITHOUT"], build.read("Gemfile"), lock), make):
        tell("Nothing has changed in what it needs: installed as before")


def precompile(build: Build, bundle: str) -> None:
    """What the pages of Rails need, if it has a task for that."""
    told = {"RAILS_ENV": os.environ.get("RAILS_ENV", "production"), "SECRET_KEY_BASE_DUMMY": "1"}
    tasks = output(["env", *(f"{name}={value}" for name, value in told.items()), bundle, "exec", "rake", "-AT"])
    if "assets:precompile" in tasks:
        say("Making the assets: rake assets:precompile")
        run([bundle, "exec", "rake", "assets:precompile"], env=told)


if __name__ == "__main__":
    main(sys.argv[1:])
