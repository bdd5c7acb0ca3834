"""The buildpack java: a jar, made by maven. Run by `bin/compile`."""

from __future__ import annotations

import glob
import os
import re
import shlex
import sys

from ..lib.pack import Build, begin, fail, needed, output, run, say, tell, warn

OTHER = "https://github.com/heroku/heroku-buildpack-java"
NOT_RUN = re.compile(r"-(sources|javadoc|tests|plain)\.jar$|/original-")
"""Jars that are made beside the one that is run."""


def main(arguments: list[str]) -> None:
    build = begin(arguments)
    java = needed("java", "default-jdk-headless", OTHER)
    needed("javac", "default-jdk-headless", OTHER)
    say(f"Using the machine's java {version(java)}")
    maven = program(build)
    words = [maven, "-B", "-ntp", f"-Dmaven.repo.local={os.path.join(build.cache, 'm2')}"]
    if build.has("settings.xml"):
        words += ["-s", "settings.xml"]
    words += shlex.split(os.environ.get("MAVEN_CUSTOM_OPTS") or "-DskipTests")
    goals = shlex.split(os.environ.get("MAVEN_CUSTOM_GOALS") or "clean package")
    say(f"Running {os.path.basename(maven)} {' '.join(goals)}")
    os.environ["MAVEN_USER_HOME"] = os.path.join(build.cache, "m2-wrapper")
    run([*words, *goals])
    leave_type(build)
    build.profile("java.sh", 'export JAVA_OPTS="${JAVA_OPTS:--XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError}"\n')


def version(java: str) -> str:
    found = re.search(r'version "([^"]+)"', output(["sh", "-c", f"{shlex.quote(java)} -version 2>&1"]))
    return found[1] if found else fail(f"{java} does not tell its version")


def program(build: Build) -> str:
    """The wrapper of the source, which brings the maven that it asks for, else the machine's."""
    if build.has("mvnw"):
        os.chmod(build.path("mvnw"), 0o755)
        return build.path("mvnw")
    return needed("mvn", "maven", OTHER)


def leave_type(build: Build) -> None:
    """Tell `bin/release` how it is started, where one jar says what its main class is."""
    jars = [path for path in sorted(glob.glob("target/*.jar")) if not NOT_RUN.search(path)]
    if len(jars) == 1:
        tell(f"made {jars[0]}")
        build.web(f"java -Dserver.port=$PORT $JAVA_OPTS -jar {jars[0]}")
    elif not build.has("Procfile"):
        warn(f"there are {len(jars)} jars in target/; a Procfile says which of them is run, and how")


if __name__ == "__main__":
    main(sys.argv[1:])
