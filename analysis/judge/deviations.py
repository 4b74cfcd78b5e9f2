"""What deviates from the paper, once, with a letter each that tables and captions refer to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.io.methods import base_and_origin, ordered_datasets, ordered_methods
from analysis.io.metrics import Metrics


@dataclass(frozen=True)
class Deviations:
    """Sentences with their letters, in the order of the methods.

    Attributes:
        letters: sentence -> letter.
        of_method: method -> its sentences.
    """

    letters: Mapping[str, str]
    of_method: Mapping[str, tuple[str, ...]]

    def marks(self, *methods: str) -> tuple[str, ...]:
        """The letters of some methods, in order."""
        found = {sentence for method in methods for sentence in self.of_method.get(method, ())}
        return tuple(letter for sentence, letter in self.letters.items() if sentence in found)

    @property
    def lines(self) -> tuple[str, ...]:
        """One line a sentence: its letter, the methods, the sentence."""
        return tuple(
            f"({letter}) {', '.join(self.methods(sentence))}: {sentence}"
            for sentence, letter in self.letters.items()
        )

    def methods(self, sentence: str) -> list[str]:
        """The methods that a sentence is about."""
        return [method for method, found in self.of_method.items() if sentence in found]

    def legend(self, *methods: str) -> str:
        """The letters of some methods with their sentences, for a caption that stands alone."""
        marks = set(self.marks(*methods))
        return " ".join(
            f"({letter}) {sentence}." for sentence, letter in self.letters.items() if letter in marks
        )

    def note(self, methods: list[str]) -> tuple[str, ...]:
        """The sentence of a caption that points to the letters; none where nothing deviates."""
        if not self.marks(*methods):
            return ()
        return (f"Deviations, by the letters of their table: {self.named(methods)}",)

    def run_notes(self, name: str, notes: tuple[str, ...]) -> tuple[str, ...]:
        """What a training run's manifest says, by letters where the table has them."""
        known = [self.letters[note] for note in notes if note in self.letters]
        told = (f"{name}: deviations {', '.join(known)}",) if known else ()
        return (*told, *(f"{name}: {note}" for note in notes if note not in self.letters))

    def named(self, methods: list[str]) -> str:
        """Methods with their letters behind them: for captions."""
        words = []
        for method in methods:
            marks = ", ".join(self.marks(method))
            words.append(f"{method} ({marks})" if marks else method)
        return ", ".join(words)


def deviations(metrics: Metrics) -> Deviations:
    """Everything that the manifests say of a method, and whose images it is where they are not ours."""
    of_method: dict[str, dict[str, None]] = {}
    every = {method for dataset in metrics.datasets() for method in metrics.methods(dataset)}
    for method in ordered_methods(every):
        _, origin = base_and_origin(method)
        found = dict.fromkeys([f"images imported ({origin}), not computed here"] if origin else [])
        for dataset in ordered_datasets(metrics.datasets()):
            found |= dict.fromkeys(metrics.notes.get((dataset, method), ()))
        if found:
            of_method[method] = found
    sentences = dict.fromkeys(sentence for found in of_method.values() for sentence in found)
    return Deviations(
        {sentence: _letter(number) for number, sentence in enumerate(sentences)},
        {method: tuple(found) for method, found in of_method.items()},
    )


def _letter(number: int) -> str:
    """a to z, then aa, ab and so on."""
    text = ""
    number += 1
    while number:
        number, place = divmod(number - 1, 26)
        text = chr(ord("a") + place) + text
    return text
