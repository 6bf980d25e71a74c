"""Label the pictures in this folder from Python: `python examples/classify.py [MODEL]`."""

# ruff: noqa: T201 (a script prints)

import sys
from pathlib import Path

from vithybrid_cli import Classifier

model = sys.argv[1] if len(sys.argv) > 1 else "tiny"
pictures = sorted(path for path in Path(__file__).parent.iterdir() if path.suffix in (".jpg", ".png"))

classifier = Classifier.from_pretrained(model)
for result in classifier.classify(pictures, top_k=1):
    name = Path(result.path).name
    if result.error is not None:
        print(f"{name}: {result.error}")
    for prediction in result.predictions:
        print(f"{name}: {prediction.label} ({prediction.score:.0%})")
