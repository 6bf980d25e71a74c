"""The program in forks of a process that has imported its libraries: `python warm_server.py SOCKET`.

Each connection brings the arguments, environment, folder and standard streams of a call, and gets its exit code. What
reads the environment when it is imported, as `huggingface_hub` does, is left to the forks, and what starts threads, as
`openvino` does.
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys

BEFOREHAND = ("torch", "PIL.Image", "safetensors.numpy", "rich.table", "rich.progress", "httpx", "requests")
LATER = {"huggingface_hub", "openvino"}
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


if __name__ == "__main__":
    from vithybrid_cli.commands.app import COMMANDS, main

    for name in COMMANDS:
        importlib.import_module(f"vithybrid_cli.commands.{name}")
    for name in BEFOREHAND:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    assert not LATER & sys.modules.keys()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    gc.collect()
    gc.freeze()
    serve(sys.argv[1])
    main()
