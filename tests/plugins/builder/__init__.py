"""The builder brick, its buildpacks, and the example apps."""
