"""The scheduler, measured on grids whose hosts are simulated: `make bench-scheduler`."""
