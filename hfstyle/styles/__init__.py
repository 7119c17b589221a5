"""Whatever names a style, and its code."""
