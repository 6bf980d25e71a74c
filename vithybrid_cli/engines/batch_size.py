"""How many pictures of a size suit a device at once, and how many batches of them (BENCHMARKS.md)."""

MOST_STREAMS = 8  # on a CPU; each holds the values of a batch, and with more cores a stream has several

_AREA = 384 * 384
_MOST_ON_CORES, _ON_GPU, _MOST_ON_GPU = 8, 64, 256  # pictures of 384×384, and of any size

# So that a full batch differs from a single picture, which has all cores. AMX wants two as well.
_LEAST_ON_CORES = 2


def suitable_for_cores(image_size: tuple[int, int], cores: int = 1) -> int:
    """How many pictures belong into a batch that so many ``cores`` compute.

    As many as leave their values in the caches: one of 384×384 for each core, and as many more as they are smaller.
    """
    return max(_LEAST_ON_CORES, min(cores, _MOST_ON_CORES) * _AREA // _area(image_size))


def suitable_for_gpu(image_size: tuple[int, int]) -> int:
    """How many pictures belong into a batch on a GPU."""
    return max(1, min(_MOST_ON_GPU, _ON_GPU * _AREA // _area(image_size)))


def _area(image_size: tuple[int, int]) -> int:
    height, width = image_size
    return height * width
