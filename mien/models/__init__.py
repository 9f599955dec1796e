"""Models and what runs them: the only code that imports onnxruntime."""
