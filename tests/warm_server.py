"""The program in forks of a process that has imported its libraries: `python warm_server.py SOCKET`.

Each connection brings the arguments, environment, folder and standard streams of a call, and gets its exit code. What
reads the environment when it is imported, as `huggingface_hub` does, is left to the forks, and what starts threads, as
compiling a network for OpenVINO does. Importing OpenVINO as the program does, without its telemetry, starts none.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys
import threading

BEFOREHAND = (
    "torch",
    "PIL.Image",
    "safetensors.numpy",
    "rich.table",
    "rich.progress",
    "httpx",
    "requests",
    "typer._adapters",  # takes in pydantic where an option is read first
    "vithybrid_cli.engines.openvino_engine",
    "vithybrid_cli.engines.torch_engine",
    "vithybrid_cli.explain.explainer",
    "vithybrid_cli.pipeline.classifier",
    "vithybrid_cli.pipeline.embedder",
)
LATER = {"huggingface_hub"}
_POLL = 2.0  # seconds between two looks at whether those who wanted this are still there


def serve(address: str) -> None:
    """Returns in the fork of each call; ends when the process that has started it is gone."""
    parent = os.getppid()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        listener.settimeout(_POLL)
        print("ready", flush=True)  # noqa: T201
        while os.getppid() == parent:
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                if os.fork() == 0:
                    break
                connection.close()
        else:
            sys.exit()
    _become(connection)


def _become(connection: socket.socket) -> None:
    """Wait for the program's end in this process, and return in a fork that is to be the program."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    connection.setblocking(True)
    with connection:
        first, streams, _, _ = socket.recv_fds(connection, 2**16, 3)
        with connection.makefile("rb") as rest:
            arguments, environment, folder = json.loads(first + rest.read())
        program = os.fork()
        if program:
            for stream in streams:
                os.close(stream)
            code = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
            connection.sendall(str(code if code >= 0 else 128 - code).encode())
            os._exit(0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["vithybrid", *arguments]


def _end(end: SystemExit) -> None:
    """End as Python does, but without taking the modules apart, which copies much of the memory that forks share.

    Returns where the exit code is not a number, or a stream cannot be written: that is left to Python.
    """
    threading._shutdown()  # type: ignore[attr-defined] # waits for threads, as Python does first
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        if end.code is None or isinstance(end.code, int):
            os._exit(end.code or 0)


if __name__ == "__main__":
    from vithybrid_cli.commands.app import COMMANDS, main

    sys.modules["openvino.tools.ovc"] = None  # type: ignore[assignment] # as the program does before it imports OpenVINO
    for name in COMMANDS:
        importlib.import_module(f"vithybrid_cli.commands.{name}")
    for name in BEFOREHAND:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    assert not LATER & sys.modules.keys()
    assert threading.active_count() == 1
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    gc.collect()
    gc.freeze()
    serve(sys.argv[1])
    try:
        main()
    except SystemExit as end:
        _end(end)
        raise
