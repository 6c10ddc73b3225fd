"""An n-gram model of tokens: how surprising a piece is to one who knows a corpus.

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
DISCOUNT = 0.75

_START = ("start",)  # stands before the first token

_Gram = tuple[Hashable, ...]


@dataclasses.dataclass(frozen=True)
class LanguageModel:
    """The counts of a corpus; see `train`.

    Attributes:
      order: Tokens of the longest n-grams.
      counts: By n-gram, what c counts, for every length from 1 to `order`.
      totals: By history, c(h).
      followers: By history, N(h).
      vocabulary_size: How many different tokens are expected.
    """

    order: int
    counts: Counter[_Gram]
    totals: Counter[_Gram]
    followers: Counter[_Gram]
    vocabulary_size: int

    def probability(self, history: Sequence[Hashable], token: Hashable) -> float:
        """p(token | history), of which the last `order` - 1 tokens count."""
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
        """Minus the natural logarithm of the probability of a piece, in nats."""
        padded = [_START, *tokens]
        return -sum(
            math.log(self.probability(padded[max(end - self.order + 1, 0) : end], padded[end]))
            for end in range(1, len(padded))
        )


def train(
    corpus: Iterable[Sequence[Hashable]], vocabulary_size: int, order: int = ORDER
) -> LanguageModel:
    """The model of a corpus of pieces.

    Args:
      corpus: Pieces as sequences of tokens.
      vocabulary_size: How many different tokens there can be.
      order: Tokens of the longest n-grams.
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
