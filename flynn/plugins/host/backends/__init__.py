"""What runs a job's process: the contract, the choice, and the backend that shuts nothing in."""
