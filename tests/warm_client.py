"""A call of the program that `warm_server` runs: `python -I -S warm_client.py SOCKET ARGUMENT…`."""

import json
import os
import socket
import sys

if __name__ == "__main__":
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(sys.argv[1])
        call = json.dumps([sys.argv[2:], dict(os.environ), os.getcwd()]).encode()  # noqa: PTH109
        socket.send_fds(connection, [call[:1]], [0, 1, 2])
        connection.sendall(call[1:])
        connection.shutdown(socket.SHUT_WR)
        code = connection.recv(16)
    sys.exit(int(code))
