"""Charts as SVG text made by pure functions: numbers in, markup out, no script and no inline style."""
