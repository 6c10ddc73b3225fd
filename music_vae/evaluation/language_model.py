"""An n-gram model of tokens, which measures how surprising a piece is to one who knows a corpus.

Interpolated Kneser-Ney smoothing with one discount D (Kneser and Ney 1995):

    p(w | h) = max(c(h w) - D, 0) / c(h) + D * N(h) / c(h) * p(w | h without its first token)

For an n-gram of full length, or one from the beginning of a piece, c(h w) counts how often it
occurs; for a shorter one, after how many different tokens. c(h) is the sum of c(h w) over all w,
N(h) the number of different w after h. Below single tokens lies the uniform distribution.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

ORDER = 5
"""Number of tokens of the longest n-grams by default."""

DISCOUNT = 0.75
"""The discount D."""

_START = ("start",)  # stands before the first token

_Gram = tuple[Hashable, ...]


@dataclasses.dataclass(frozen=True)
class LanguageModel:
    """A language model, which consists of the counts of a corpus; `train` makes it.

    >>> model = train(["abab", "abc"], vocabulary_size=26)
    >>> round(model.probability("a", "b"), 2), round(model.probability("a", "c"), 2)
    (0.66, 0.03)
    >>> round(model.cost("ab"), 2), round(model.cost("zz"), 2)  # nats
    (0.43, 8.65)

    Attributes:
      order: Number of tokens of the longest n-grams.
      counts: The count c of each n-gram, for all lengths from 1 to `order`.
      totals: The sum c(h) of each history h.
      followers: The number N(h) of different tokens after each history h.
      vocabulary_size: Number of different tokens that there can be.
    """

    order: int
    counts: Counter[_Gram]
    totals: Counter[_Gram]
    followers: Counter[_Gram]
    vocabulary_size: int

    def probability(self, history: Sequence[Hashable], token: Hashable) -> float:
        """Returns p(token | history); only the last `order` - 1 tokens of the history count."""
        probability = 1 / self.vocabulary_size
        for length in range(min(len(history), self.order - 1) + 1):
            past = tuple(history[len(history) - length :])
            total = self.totals.get(past, 0)
            if not total:  # neither has any longer history been seen
                break
            seen = max(self.counts.get((*past, token), 0) - DISCOUNT, 0)
            probability = (seen + DISCOUNT * self.followers[past] * probability) / total
        return probability

    def cost(self, tokens: Sequence[Hashable]) -> float:
        """Returns the negative log-probability of a piece, in nats."""
        padded = [_START, *tokens]
        return -sum(
            math.log(self.probability(padded[max(end - self.order + 1, 0) : end], padded[end]))
            for end in range(1, len(padded))
        )


def train(
    corpus: Iterable[Sequence[Hashable]], vocabulary_size: int, order: int = ORDER
) -> LanguageModel:
    """Counts the n-grams of a corpus, and returns the model of it.

    >>> model = train([[60, 62, 64, 62, 60]], vocabulary_size=128, order=2)
    >>> model.counts[62, 64], model.totals[(62,)]  # 62 goes to 64 once, and to something twice
    (1, 2)

    Args:
      corpus: Pieces as sequences of tokens, of any hashable type.
      vocabulary_size: Number of different tokens that there can be.
      order: Number of tokens of the longest n-grams.
    """
    counts: Counter[_Gram] = Counter()
    for piece in corpus:
        padded = [_START, *piece]
        counts.update(tuple(padded[max(end - order, 0) : end]) for end in range(2, len(padded) + 1))
    for length in range(order, 1, -1):
        # Each different n-gram is one token that stands before the rest of it.
        counts.update([gram[1:] for gram in counts if len(gram) == length])
    totals: Counter[_Gram] = Counter()
    for gram, count in counts.items():
        totals[gram[:-1]] += count
    followers = Counter(gram[:-1] for gram in counts)
    return LanguageModel(order, counts, totals, followers, vocabulary_size)
