"""Training: the only folder that imports torch. Installed with ``pip install 'mien[train]'``."""
