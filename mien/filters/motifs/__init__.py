"""Procedural pictures that stand behind a person: one generator a word, over one registry (`mien.filters.motifs.motif`)."""
