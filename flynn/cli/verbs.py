"""A group of verbs that answers an unknown one with what was probably meant."""

import difflib

import click

MEANT = {
    "logs": "log",
    "config": "env",
    "limits": "limit",
    "buildpacks": "buildpack",
    "resource": "limit",
    "resources": "limit",
    "push": "deploy",
    "previews": "preview",
    "reviewapps": "preview",
    "git": "remote",
    "git-remote": "remote",
    "up": "deploy",
    "cancel": "deployment cancel",
    "promote": "deployment promote",
    "deployments": "deployment",
    "destroy": "delete",
    "rm": "delete",
    "stop": "kill",
    "restart": "kill",
    "rollback": "release rollback",
    "releases": "release",
    "builds": "build",
    "routes": "route",
    "domains": "route",
    "jobs": "ps",
    "nodes": "host",
    "hosts": "host",
    "queues": "queue",
    "services": "service",
    "blobs": "blob",
    "sinks": "sink",
    "crontab": "cron",
    "schedule": "cron",
    "event": "events",
    "history": "events",
    "volumes": "volume",
    "storage": "volume",
    "mount": "volume mount",
    "drains": "sink",
    "log-sink": "sink",
    "plugins": "plugin",
    "start": "daemon",
    "server": "daemon",
    "serve": "daemon",
    "ls": "apps",
    "help": "--help",
}
"""Words of the neighbours (Heroku, Dokku, Kamal, Nomad) and the verb that does it here."""


class Verbs(click.Group):
    """Verbs in the order they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if self.get_command(ctx, word) is None and not word.startswith("-"):
            raise click.UsageError(unknown(ctx.command_path, word, self.list_commands(ctx)), ctx)
        return super().resolve_command(ctx, args)


def unknown(path: str, word: str, known: list[str]) -> str:
    """The sentence about a verb that does not exist."""
    plain = word.split(":")[0].lower()
    near = difflib.get_close_matches(plain, known, n=3, cutoff=0.6)
    meant = [MEANT[plain]] if path == "flynn" and plain in MEANT else near
    if not meant:
        return f"'{path}' has no verb {word!r}; it has: {', '.join(known)}"
    shown = " or ".join(f"'{path} {verb}'" for verb in dict.fromkeys(meant))
    return f"'{path}' has no verb {word!r}; did you mean {shown}?"
