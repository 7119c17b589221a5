"""The pages of the studio: each file holds what a page shows and what its components call."""
