"""What the committee does: run a submission that may come from anyone, in a container that can do nothing else."""
