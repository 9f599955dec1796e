"""Four classic hobby projects, from pictures to a model, with nothing but mien's commands."""
