"""Runs one module of this package in another Python: child.py PACKAGE_FOLDER MODULE ARGUMENTS_JSON.

That Python has other libraries in other versions, so it gets this package alone and nothing from beside it.
"""

import importlib
import importlib.util
import json
import signal
import sys
from pathlib import Path


def main(folder: Path, module: str, arguments: str) -> None:
    """Call ``main`` of ``module`` with the decoded arguments."""
    sys.path.pop(0)  # the folder of this file, whose modules are no top-level ones
    # Ctrl-C reaches the whole group of processes; the one that started this one decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    specification = importlib.util.spec_from_file_location(
        folder.name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert specification is not None
    assert specification.loader is not None
    package = importlib.util.module_from_spec(specification)
    sys.modules[folder.name] = package
    specification.loader.exec_module(package)
    importlib.import_module(module).main(json.loads(arguments))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
