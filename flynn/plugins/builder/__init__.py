"""The builder: an app's source in, the right buildpack, a slug out. Builds run as jobs in the `builders` queue."""
