"""The paper's rows and numbers, beside what this code builds and what was measured."""

from aa_keras.paper.facts import Row, facts, find_row, rows, title

__all__ = ["Row", "facts", "find_row", "rows", "title"]
