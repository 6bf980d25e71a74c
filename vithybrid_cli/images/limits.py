"""How large a picture may become, whatever its file says."""

# A picture may not be enlarged to more pixels than this: they take 128 MiB in Pillow. With a shortest edge of 384 that
# is a picture 227 times as long as it is wide.
MAX_RESIZED_PIXELS = 2**25
