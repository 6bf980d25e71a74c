"""Everything that can go wrong for a user, each with its cause and the next step in the message."""


class VitHybridError(Exception):
    """Base of all errors that a user can cause and mend; its text is fit to be shown as one line."""


class UsageError(VitHybridError):
    """The request itself makes no sense (wrong device, wrong option, nothing to do)."""


class ModelError(VitHybridError):
    """The model could not be found, fetched or loaded."""


class ImageError(VitHybridError):
    """One input is no usable picture; its class name is the ``type`` of the error record."""


class MissingFile(ImageError):
    """There is no file of this name."""


class NotAFile(ImageError):
    """The path is a folder, a device, a socket or a pipe."""


class PermissionDenied(ImageError):
    """The file exists and may not be read."""


class UnreadableImage(ImageError):
    """The file is empty, truncated, damaged, or no picture at all."""


class NonFiniteLogits(ImageError):
    """The network's outputs for this picture are no numbers, as when a short type overflows."""


class ImageTooLarge(ImageError):
    """The picture has more pixels than the limit allows (a decompression bomb, or a very large scan)."""
