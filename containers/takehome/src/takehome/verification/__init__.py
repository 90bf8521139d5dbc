"""Does a notebook give again what it gave? A clean run, compared in meaning with what is saved."""
