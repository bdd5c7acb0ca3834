"""What the agent is measured beside."""
