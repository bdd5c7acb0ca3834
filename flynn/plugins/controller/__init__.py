"""The controller: the one way into the grid. Apps, config, releases, scale, deploys, and the three queues."""
