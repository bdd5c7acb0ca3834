"""What holds a job within its limits."""
