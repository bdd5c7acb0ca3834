"""A guest book in memory: small enough to read, real enough to deploy."""

import os
import time

from flask import Flask, redirect, render_template_string, request

app = Flask(__name__)
guests: list[tuple[str, str]] = []

PAGE = """<!doctype html>
<title>{{ greeting }}</title>
<style>body { font: 18px/1.5 system-ui; max-width: 30em; margin: 4em auto; padding: 0 1em }</style>
<h1>{{ greeting }}</h1>
<form method="post"><input name="name" placeholder="Your name" required maxlength="60"> <button>Sign</button></form>
<ul>{% for name, time in guests %}<li>{{ name }} <small>{{ time }}</small></li>{% endfor %}</ul>
<small>answered by {{ job }}, release {{ release }}</small>
"""


@app.get("/")
def show() -> str:
    return render_template_string(
        PAGE,
        greeting=os.environ.get("GREETING", "Hello from flynn"),
        guests=reversed(guests),
        job=os.environ.get("FLYNN_JOB_ID", "this machine"),
        release=os.environ.get("FLYNN_RELEASE", "none"),
    )


@app.post("/")
def sign():
    name = request.form.get("name", "").strip()[:60]
    if name:
        guests.append((name, time.strftime("%H:%M")))
        del guests[:-100]
        app.logger.warning("%s signed the guest book", name)
    return redirect("/")


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}
