"""Labels become keywords: what one would type into a photo manager, and what each of them can hold."""

import re
from functools import cache

from vithybrid_cli.actions.xmp_memory import Keyword, clean
from vithybrid_cli.results import Answer, ImageResult

_UNSURE = "unsure"  # what stands in place of a guess, and is no class of the model


def keywords(result: ImageResult, top_k: int = 1, min_score: float | None = None) -> tuple[Keyword, ...]:
    """The keywords of a picture, best first: of its answer, and of the predictions after that up to ``top_k``.

    What a rule put in place of the guess stands alone, and "unsure" is no keyword. Labels with the same keyword, as
    the two "crane" of ImageNet, give it once, with the better score.
    """
    answer = result.answer
    if answer is None or (answer.index is None and answer.label == _UNSURE):
        return ()
    answers = [answer]
    if result.instead is None:
        answers += [Answer(one.label, one.score, one.index) for one in result.predictions[1:top_k]]
    found: dict[str, Keyword] = {}
    for one in answers:
        text = keyword_of(one)
        if text and (min_score is None or one.score >= min_score):
            found.setdefault(text, Keyword(text, one.label, one.index, one.score))
    return tuple(found.values())


def keyword_of(answer: Answer) -> str:
    """The first name of a label of WordNet's, as "tabby" of "tabby, tabby cat"; all of any other."""
    label = answer.label
    return plain(label.split(",")[0] if answer.index is None or label in _of_wordnet() else label)


def roots_of(prefix: str) -> tuple[str, ...]:
    """The levels above all keywords: one for ``auto``, two for ``auto/vithybrid`` or ``auto|vithybrid``."""
    return tuple(root for root in map(plain, re.split(r"[/|]", prefix)) if root)


def plain(text: str) -> str:
    """``text`` in one line, without what separates the levels of a hierarchy in one program or another."""
    return " ".join(re.sub(r"[/|]", "-", clean(text)).split())


@cache
def _of_wordnet() -> frozenset[str]:
    from vithybrid_cli.checkpoints.layouts.imagenet import wordnet_labels

    return frozenset(wordnet_labels().values())
