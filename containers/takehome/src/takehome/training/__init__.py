"""Training on more than one core: where a notebook's parallel work runs."""
