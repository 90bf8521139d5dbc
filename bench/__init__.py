"""`make bench`: the API beside others, on this machine, in one run."""
