"""Parameters and floating-point operations of models, and what augmenting costs."""

from aa_keras.counting.operations import (
    Counts,
    MultiplyAdds,
    count,
    layer_calls,
    multiply_adds,
    projected,
)
from aa_keras.counting.replacements import (
    Replacement,
    print_replacements,
    replacements,
)

__all__ = [
    "Counts",
    "MultiplyAdds",
    "Replacement",
    "count",
    "layer_calls",
    "multiply_adds",
    "print_replacements",
    "projected",
    "replacements",
]
