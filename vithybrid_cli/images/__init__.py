"""A path becomes pixels: finding, decoding, preprocessing and loading pictures with Pillow and NumPy."""
