"""How fast the program is on this machine: decoding, network, whole way, whole processes and cold starts."""
