"""Models somewhere else than in a folder: what is there, and the copy of it that is kept here."""
