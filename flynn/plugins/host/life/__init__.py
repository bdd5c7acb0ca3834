"""One job, from the first word about it to the last."""
