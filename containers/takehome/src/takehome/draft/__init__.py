"""A first notebook for a file nobody has seen: what is in it, what to watch for, and a model that is served."""
