"""A file becomes the pixels that a network takes: decoding, orientation, preprocessing; which files are pictures."""
