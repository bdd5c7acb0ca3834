"""What bricks stand on. Nothing in here knows a brick."""
