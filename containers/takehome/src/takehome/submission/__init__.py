"""What a candidate hands in: one archive with notebook, page, slides, model card, model and the proof of each file."""
