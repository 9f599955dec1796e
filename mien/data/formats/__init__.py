"""Labels of other tools, in and out: one module a format over a table of formats."""

from mien.data.formats.intake import Imported, Rejected
from mien.data.formats.registry import FORMATS, Format, export_labels, import_labels

__all__ = ["FORMATS", "Format", "Imported", "Rejected", "export_labels", "import_labels"]
