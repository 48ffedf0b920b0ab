"""What the models of a worker's process have in common."""


class ModelMissing(Exception):
    """The wheel that carries it is not installed, or lacks it; the message says which."""
