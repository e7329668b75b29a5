"""Speed as ratios: our engines, plain references and whichever peers are installed, side by side on the same file."""
