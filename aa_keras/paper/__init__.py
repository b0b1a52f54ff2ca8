"""The papers' rows and numbers, beside what this code builds and what was measured."""

from aa_keras.paper.facts import Row, find_row, read_facts, rows, title

__all__ = ["Row", "find_row", "read_facts", "rows", "title"]
