"""What is fetched of the published checkpoints, as the hub's pages of 2024 to 2026 have it.

Of some the safetensors only wait in a pull request of the conversion bot. Such a commit is fetched by itself where all
its digits are known; nobody can move that. Else the pull request is, which must be at that commit.
"""

from typing import Final

from vithybrid_cli.hub.entry import MAIN


def _at(commit: str, sha256: str | None = None) -> tuple[str, str | None, str | None]:
    """What is fetched is the commit itself: nobody can move that."""
    return commit, commit, sha256


# Hub id → what is fetched, its commit, the sha256 of its weights.
FETCHED: Final[dict[str, tuple[str, str | None, str | None]]] = {
    "google/bit-50": _at("9e9a281aa096247270860f9cda4f68daacca33d0"),
    "google/vit-large-patch16-224": _at(
        "8041a8c7b0517e25d4cfa63f2e2e35b50b853386", "e145bac42eabd05431772b91c046920c901c2777817c5339d4e87aaaf2d6a3ce"
    ),
    "google/vit-large-patch16-384": ("refs/pr/1", None, None),
    "facebook/deit-tiny-patch16-224": ("refs/pr/3", "7cfd95a", None),
    "facebook/deit-small-patch16-224": ("refs/pr/4", "44af8df", None),
    "facebook/deit-base-patch16-224": _at(
        "d864b19ac2f8bd86027ddab0339dac4f733342a8", "d87f1ddbbfd353c7c81705f0f223093bd1e61633ed21cd25aac0919bdd12b3a8"
    ),
    "facebook/deit-base-patch16-384": _at(
        "dc8ec3a5e95c93d6dc9b4a79ba0d0cd4ab8e8f89", "dd4f1594f3e08492de69d37380e26faa82f873b3aded1c6e5fccef4d0c1dc241"
    ),
    "facebook/deit-base-distilled-patch16-224": (
        "refs/pr/2",
        "1558311",
        "15667e351ef635d1b6450f400cd3462f4287f0cbd7e1e3be9826db942ceeb69d",
    ),
    "facebook/dino-vits16": _at("a7a4d161f5c0bd70478c05ca5777ec7cd8848021"),
    "facebook/dino-vitb16": _at(
        "a77533c84408875b30b5e8beb766c82a5be82bf4", "2c465a30aa590f9b3fbe36feb962a1eb35635da809643f42857cf64ee450007c"
    ),
    "facebook/dino-vits8": (MAIN, "483f2fc", "87f9945d7793843d3d8d2b213cbce5fbc6983e277d145060b5035d45450dc452"),
    "facebook/dino-vitb8": (MAIN, "f1ca762", "f51c99ce793d1eb87daf2a670b9e11e50927fd00334d2cac75cbd30666d13f6b"),
    "facebook/deit-base-distilled-patch16-384": (MAIN, "d939597", None),
    "microsoft/beit-base-patch16-224": (MAIN, "f02e8f7", None),
}
