"""Archives as sources: zip by its directory, tar by its headers, compressed tar in a stream.

Nothing is unpacked to a disk. Headers are read here and not by `zipfile` and `tarfile`, which keep an object for each
member: memory must not grow with their number. What a header claims is not believed: a member is read up to its limit.
"""
