"""What jobs and the machine take: read from the kernel when somebody asks."""
