"""The data of jobs: volumes on this machine's disk, and directories that its operator permits."""
