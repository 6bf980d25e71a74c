"""How fast the full-size network is beside timm and transformers, and what a folder costs beyond its network.

    python benchmarks/compare.py --peers .venv-peers/bin/python [--photos FOLDER]

Float32 on the CPU, random weights. Every library has a process of its own, loaded and warm; they take turns, one batch
each, so that a machine that drifts drifts for all of them. A ratio is that of one turn; its median is the result.
Then the whole way, ``Classifier.classify`` over photographs, takes turns with the network alone on as many pictures.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vithybrid_cli import Classifier
from vithybrid_cli.images.decode import decode
from vithybrid_cli.images.find import find
from vithybrid_cli.images.loader import available_cores

ROOT = Path(__file__).parent.parent
PEER_SCRIPTS = ROOT / "tests" / "peers"
OURS, PEERS = "vithybrid", ("timm", "transformers")


class Worker:
    """A process that is ready once it has said so, and then times each task that it is given by name."""

    def __init__(self, *command: object) -> None:
        words = [str(word) for word in command]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, bufsize=1, env=environment)
        self._answer()

    def seconds(self, task: str) -> float:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{task}\n")
        return float(self._answer())

    def close(self) -> None:
        self.process.communicate()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        if not (line := self.process.stdout.readline()):
            raise SystemExit(f"{self.process.args!r} ended with exit code {self.process.wait()}")
        return line


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        return serve(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
    options = read_options()
    with tempfile.TemporaryDirectory() as scratch:
        return compare(options, Path(scratch))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True, metavar="PYTHON", help="has transformers and timm")
    parser.add_argument("--photos", type=Path, default=ROOT / "examples", metavar="FOLDER")
    parser.add_argument("--checkpoint", type=Path, metavar="FOLDER", help="of the full size; made if there is none")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=6, help="turns of one batch each")
    parser.add_argument("--folder-rounds", type=int, default=2)
    parser.add_argument("--folder-pictures", type=int, default=40, help="repeated if there are fewer photographs")
    return parser.parse_args()


def compare(options: argparse.Namespace, scratch: Path) -> None:
    peers = options.peers.absolute()
    checkpoint = options.checkpoint or scratch / "base-384"
    if not checkpoint.exists():
        subprocess.run([peers, PEER_SCRIPTS / "make_checkpoint.py", checkpoint], check=True)
    found = list(find([str(options.photos)]))
    pictures = (found * (options.folder_pictures // len(found) + 1))[: options.folder_pictures]
    (scratch / "pictures.txt").write_text("\n".join(pictures), encoding="utf-8")

    say(f"{available_cores()} cores, float32, {len(found)} photographs in {options.photos}")
    ours = Worker(sys.executable, __file__, "--serve", checkpoint, scratch / "pictures.txt", options.batch)
    ours.seconds(f"save {scratch / 'values.npy'}")
    workers = {OURS: ours}
    for name in PEERS:
        workers[name] = Worker(peers, PEER_SCRIPTS / "serve.py", name, checkpoint, scratch / "values.npy")
    compare_networks(workers, options.batch, options.rounds)
    for name in PEERS:
        workers[name].close()
    compare_folder(ours, options.folder_pictures, options.folder_rounds)
    ours.close()


def compare_networks(workers: dict[str, Worker], batch: int, rounds: int) -> None:
    """The networks alone, in turns: ours, timm, transformers, ours, …"""
    turns = [{name: worker.seconds("network") for name, worker in workers.items()} for _ in range(rounds)]
    say(f"\nnetwork alone, batch {batch}, {rounds} rounds")
    for name in workers:
        say(f"  {name:12}  {in_words([batch / turn[name] for turn in turns])} images/s")
    for name in PEERS:
        say(f"  {OURS} : {name:12}  {in_words([turn[name] / turn[OURS] for turn in turns])} ×")


def compare_folder(ours: Worker, pictures: int, rounds: int) -> None:
    """Photographs from the disk to labels, in turns with the network on as many pictures that are there already."""
    turns = [(ours.seconds("all pixels"), ours.seconds("folder")) for _ in range(rounds)]
    say(f"\nwhole way, {pictures} photographs, {rounds} rounds")
    say(f"  network alone  {in_words([pictures / network for network, _ in turns])} images/s")
    say(f"  classify       {in_words([pictures / folder for _, folder in turns])} images/s")
    say(f"  time classify : network  {in_words([folder / network for network, folder in turns])} ×")


def in_words(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f}–{max(values):.3f})"


def serve(checkpoint: Path, listed: Path, batch: int) -> None:
    """Our side of ``Worker``."""
    classifier = Classifier.from_pretrained(checkpoint, device="cpu")
    pictures = listed.read_text(encoding="utf-8").split("\n")
    pixels = np.stack([classifier.preprocessing.pixels(decode(path)) for path in pictures])
    first = np.resize(pixels, (batch, *pixels.shape[1:]))  # repeated if they are fewer
    classifier.engine.logits(first)
    say("ready")
    for line in sys.stdin:
        task, _, file = line.rstrip("\n").partition(" ")
        start = time.perf_counter()
        if task == "save":
            np.save(file, classifier.preprocessing.normalization.apply(first))
        elif task == "network":
            classifier.engine.logits(first)
        elif task == "all":
            for index in range(0, len(pixels), batch):
                classifier.engine.logits(pixels[index : index + batch])
        else:
            assert len(list(classifier.classify(pictures, batch_size=batch))) == len(pictures)
        say(str(time.perf_counter() - start))


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
