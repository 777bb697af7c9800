"""Random access to the examples of a data set."""

from collections.abc import Sequence

import tensorflow as tf


class Source:
    """Examples with optional class labels, addressed by index.

    Args:
        name: what was opened, for messages.
        num_examples: exact number of examples, at least 1.
        class_names: names of the classes; None (default) without labels.

    Raises:
        ValueError: there are no examples.
    """

    unit = "example"  # what messages call one

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

    def get(self, index: int | tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns one example; works eagerly and in graphs.

        Args:
            index: scalar, in graphs an int64 tensor.
        """
        raise NotImplementedError

    def dataset(self) -> tf.data.Dataset:
        """Returns all examples once, unbatched, in order of their index.

        Returns:
            Dataset of what `get` returns, plus "index": int64 [].
        """
        return tf.data.Dataset.range(self.num_examples).map(
            lambda index: {**self.get(index), "index": index},
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
