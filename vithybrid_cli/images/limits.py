"""How large a picture may be; not beside what decodes it, so that the command line knows it without Pillow."""

DEFAULT_MAX_PIXELS = 178_956_970  # where Pillow itself refuses: twice its MAX_IMAGE_PIXELS
