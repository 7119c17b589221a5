"""One picture in styles whose codes are ready: in one pass, in tiles, in layers, from file to file."""
