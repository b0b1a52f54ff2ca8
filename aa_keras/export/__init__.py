"""From a trained network to files that are served, each compared with the original."""

from aa_keras.export.converted import export_converted
from aa_keras.export.formats import export, predict_images, read_picture
from aa_keras.export.publishing import ExportError
from aa_keras.export.saved_model import export_saved_model

__all__ = [
    "ExportError",
    "export",
    "export_saved_model",
    "export_converted",
    "predict_images",
    "read_picture",
]
