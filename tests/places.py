"""Where things lie that several test files read."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "vithybrid_cli"
EXAMPLES = ROOT / "examples"
GOLDENS = ROOT / "tests" / "data" / "golden"
PEER_SCRIPTS = ROOT / "tests" / "peers"
