"""A file becomes the pixels that a network takes: decoding, orientation, preprocessing, and which files are pictures."""
