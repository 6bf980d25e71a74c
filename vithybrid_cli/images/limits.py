"""How large a picture may be; not beside what decodes it, so that the command line knows it without Pillow."""

DEFAULT_MAX_PIXELS = 178_956_970  # where Pillow itself refuses: twice its MAX_IMAGE_PIXELS
# A picture may not be enlarged to more pixels than this: they take 128 MiB in Pillow. With a shortest edge of 384 that
# is a picture 227 times as long as it is wide.
MAX_RESIZED_PIXELS = 2**25
