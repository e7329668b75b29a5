"""Pages: parse, one domain call, render."""
