"""What attention looks at: scores as arrays, figures, a page to click in."""

from aa_keras.visualization.figures import (
    draw_attention_maps,
    draw_heads,
    draw_matrices,
    draw_relative_fields,
    draw_relative_tables,
)
from aa_keras.visualization.overview import draw_attention_overview
from aa_keras.visualization.page import (
    display_attention_page,
    write_attention_page,
)
from aa_keras.visualization.projections import projections
from aa_keras.visualization.scores import (
    attention_entropy,
    attention_received,
    attention_scores,
    mean_attention_distance,
    query_cells,
    query_grid,
    relative_fields,
    score_queries,
)
from aa_keras.visualization.tensorboard import AttentionMaps

__all__ = [
    "attention_scores",
    "attention_received",
    "relative_fields",
    "mean_attention_distance",
    "attention_entropy",
    "query_grid",
    "query_cells",
    "draw_attention_maps",
    "draw_attention_overview",
    "draw_relative_fields",
    "draw_relative_tables",
    "draw_heads",
    "draw_matrices",
    "write_attention_page",
    "display_attention_page",
    "AttentionMaps",
    "projections",
    "score_queries",
]
