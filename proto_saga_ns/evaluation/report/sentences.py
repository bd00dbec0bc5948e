"""What became of a true instance, in words; nothing that its counts do not say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from proto_saga_ns.evaluation.report.figures import PART, Label, TrueInstance

MOST = 0.5
"""More than this share is most of an instance."""


def what_happened(instance: TrueInstance, name: Callable[[int], str]) -> str:
    """One sentence that says what became of a true instance, and nothing that the counts do not say.

    Args:
        name: of a predicted instance, such as "instance 7".
    """
    return next(sentence for rule in _RULES for sentence in rule(instance, name))


def _unlabelled(it: TrueInstance, name: Callable[[int], str]) -> Iterator[str]:
    if it.unlabelled > MOST:
        rest = f", {_labelled(it, it.parts, name)}" if it.parts else ""
        yield f"Mostly unlabelled: {percent(it.unlabelled)} belong to no instance{rest}."


def _missed(it: TrueInstance, name: Callable[[int], str]) -> Iterator[str]:
    if it.lost and not it.pieces:
        yield f"Missed: {_labelled(it, it.lost, name)}{_and_unlabelled(it)}."


def _cut(it: TrueInstance, name: Callable[[int], str]) -> Iterator[str]:
    if len(it.pieces) > 1:
        lost = f"; lost to others: {_labelled(it, it.lost, name)}" if it.lost else ""
        yield f"Cut into {len(it.pieces)} parts: {_labelled(it, it.pieces, name)}{lost}{_and_unlabelled(it)}."


def _lost(it: TrueInstance, name: Callable[[int], str]) -> Iterator[str]:
    if it.lost:
        how = "Mostly" if sum(part.share for part in it.lost) > MOST else "Partly"
        yield f"{how} lost to others: {_labelled(it, it.parts, name)}{_and_unlabelled(it)}."


def _too_large(it: TrueInstance, name: Callable[[int], str]) -> Iterator[str]:
    if it.parts and it.neighbours:
        merged = [content.id for content in it.neighbours if content.covered > MOST]
        whom = f"true instance{'s' if len(merged) > 1 else ''} {_listed([str(id) for id in merged])}" if merged else ""
        what = f"Merged with {whom}" if merged else "Found with parts of others"
        others = _listed([f"{percent(content.share)} true instance {content.id}" for content in it.neighbours])
        yield (
            f"{what}: {_labelled(it, it.parts, name)}, which is {percent(it.own_share)} this one and {others}"
            f"{_and_unlabelled(it)}."
        )


def _found(it: TrueInstance, name: Callable[[int], str]) -> Iterator[str]:
    if it.parts:
        yield f"Found: {_labelled(it, it.parts, name)}, which is {percent(it.own_share)} this one{_and_unlabelled(it)}."


def _scattered(it: TrueInstance, name: Callable[[int], str]) -> Iterator[str]:
    yield f"Scattered: no instance has {percent(PART)} of its pixels{_and_unlabelled(it)}."


_RULES = (_unlabelled, _missed, _cut, _lost, _too_large, _found, _scattered)
"""Each yields its sentence or nothing; the last one always does."""


def percent(share: float) -> str:
    """A share for people; only all is 100%, and only nothing is 0%."""
    if 0 < share < 0.01:
        return "under 1%"
    if 0.99 < share < 1:
        return "over 99%"
    return f"{100 * share:.0f}%"


def _labelled(it: TrueInstance, parts: Sequence[Label], name: Callable[[int], str]) -> str:
    words = ["labelled as", *["as"] * (len(parts) - 1)]
    return ", ".join(
        f"{percent(part.share)} {how} {name(part.id)}{_whose(it, part)}" for part, how in zip(parts, words, strict=True)
    )


def _whose(it: TrueInstance, part: Label) -> str:
    return f" (the match of true instance {part.match})" if part in it.lost else ""


def _and_unlabelled(instance: TrueInstance) -> str:
    return f"; {percent(instance.unlabelled)} unlabelled" if instance.unlabelled >= PART else ""


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
