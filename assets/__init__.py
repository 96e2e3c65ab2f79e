"""One file an asset, named after it: read the inputs, call the science, say what was made."""
