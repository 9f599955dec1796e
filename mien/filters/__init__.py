"""What changes a picture once its people are known: cut-outs, new backgrounds, posters."""
