"""Deploys: a release takes over from the one that serves, step by step, and never hurts it.

A reading path: `strategy.py` (what a strategy says), `strategies.py` (flynn's own), `stage.py` (where a deploy
stands), `wanted.py` (so which jobs there shall be), `judge.py` (whether it goes on, is done or has failed), `move.py`
(the changes). All that a deploy has come to stands in its record: whoever leads goes on from there.
"""
