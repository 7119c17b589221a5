"""How the pages look and what they say about themselves."""
