"""Random access to the examples of a data set."""

from collections.abc import Sequence

import tensorflow as tf


class Source:
    """Examples with optional class labels, addressed by index.

    Args:
        name: what was opened, for messages.
        num_examples: how many there are, exact.
        class_names: the classes, or None without labels.

    Raises:
        ValueError: there are none.
    """

    unit = "example"  # what one is called

    def __init__(
        self,
        name: str,
        num_examples: int,
        class_names: Sequence[str] | None = None,
    ):
        if num_examples < 1:
            raise ValueError(
                f"A source must hold at least one readable {self.unit}. "
                f"Received: {name} with none."
            )
        self.name = name
        self.num_examples = int(num_examples)
        self.class_names = None if class_names is None else tuple(class_names)

    @property
    def num_classes(self) -> int | None:
        return None if self.class_names is None else len(self.class_names)

    def get(self, index) -> dict[str, tf.Tensor]:
        """Returns an example, in a graph or not.

        Args:
            index: an int64 scalar tensor.
        """
        raise NotImplementedError

    def dataset(self) -> tf.data.Dataset:
        """Returns all examples once, unbatched, in the order of their index.

        Returns:
            Dataset of what `get` returns, and "index": int64 [].
        """
        return tf.data.Dataset.range(self.num_examples).map(
            lambda index: {**self.get(index), "index": index},
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
