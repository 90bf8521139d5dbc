"""Proving a model: a process that may be lost loads it and answers its example rows; who asked compares."""
