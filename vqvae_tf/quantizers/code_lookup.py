"""From latents to codes and back, of tensors and in functional models."""

import keras
import tensorflow as tf

from vqvae_tf.quantizers import lookup
from vqvae_tf.runtime.replica_losses import ReplicaLosses
from vqvae_tf.utils import tensor_checks


class CodeLookup(ReplicaLosses):
    """What a quantizer does with its codebook when it does not learn.

    Subclasses have `num_embeddings`, `embedding_dim` and `num_codebooks`, make
    `embeddings`, float32 `[G, K, D]`, in `build`, and give `call` the argument
    `only`, by which `encode` and `decode` are nodes of a functional model.
    """

    def _ensure_built(self):
        if not self.built:
            self.build((None, self.num_codebooks * self.embedding_dim))

    @property
    def codebook(self):
        """The embeddings, float32 `[K, D]`, or `[G, K, D]` with G > 1."""
        self._ensure_built()
        embeddings = tf.convert_to_tensor(self.embeddings)
        return embeddings[0] if self.num_codebooks == 1 else embeddings

    def _only(self, what):
        methods = {"codes": self.encode, "embeddings": self.decode}
        if what not in methods:
            raise ValueError(
                'only must be None, "codes" or "embeddings". Received: '
                f"{what!r}."
            )
        return methods[what]

    def encode(self, latents):
        """Returns the codes of latents.

        Args:
            latents: float `[batch, ..., G * D]`; a symbolic tensor (of
                `keras.Input`), too.

        Returns:
            int32 `[batch, ...]`, with a last axis G where G > 1.
        """
        if isinstance(latents, keras.KerasTensor):
            return self(latents, only="codes")
        latents = tf.convert_to_tensor(latents)
        if not self.built:
            self.build(latents.shape)
        codes = lookup.nearest_codes(
            self._group(latents), tf.convert_to_tensor(self.embeddings)
        )
        return self._positions(codes, latents)

    def _positions(self, codes, latents):
        """Codes `[G, N]` to those of the positions of `latents`."""
        shape = tf.shape(latents)[:-1]
        if self.num_codebooks == 1:
            codes = tf.reshape(codes, shape)
            return _of_shape(codes, latents.shape[:-1])
        codes = tf.transpose(codes)
        codes = tf.reshape(codes, tf.concat([shape, [self.num_codebooks]], 0))
        return _of_shape(codes, latents.shape[:-1] + (self.num_codebooks,))

    def decode(self, codes):
        """Returns the embeddings of codes.

        Args:
            codes: integers `[batch, ...]`, with a last axis G where G > 1; a
                symbolic tensor (of `keras.Input`), too.

        Returns:
            float32 `[batch, ..., G * D]`.

        Raises:
            ValueError: in eager mode, if a code is not in 0..K-1; in a graph
                an `InvalidArgumentError` when it runs. XLA checks nothing:
                compiled, codes are clamped to 0..K-1.
        """
        self._ensure_built()
        if isinstance(codes, keras.KerasTensor):
            return self(codes, only="embeddings")
        codes = self.check_codes(codes)
        if self.num_codebooks == 1:
            codes = tf.expand_dims(codes, -1)
        rows = codes + tf.range(self.num_codebooks) * self.num_embeddings
        table = tf.reshape(self.embeddings, [-1, self.embedding_dim])
        quantized = tf.gather(table, rows)
        channels = self.num_codebooks * self.embedding_dim
        shape = tf.concat([tf.shape(codes)[:-1], [channels]], axis=0)
        quantized = tf.reshape(quantized, shape)
        return _of_shape(quantized, codes.shape[:-1] + (channels,))

    def check_codes(self, codes):
        """Returns codes as int32 after the checks that `decode` makes."""
        codes = tensor_checks.as_tensor("Codes", codes)
        self._check_code_type(codes.dtype.name, codes.shape)
        return tensor_checks.whole_numbers(codes, self.num_embeddings)

    def _check_code_type(self, dtype, shape):
        if not keras.backend.is_int_dtype(dtype):
            raise ValueError(
                "Codes are integers. Received: codes of dtype "
                f"{dtype}; decode latents by calling the layer."
            )
        groups = self.num_codebooks
        if groups > 1 and (not len(shape) or shape[-1] != groups):
            raise ValueError(
                f"With num_codebooks={groups} the last axis of codes has "
                f"{groups} entries. Received: codes of shape {shape}."
            )

    def _gather(self, embeddings, codes):
        rows = lookup.flat_indices(codes, self.num_embeddings)
        return tf.gather(tf.reshape(embeddings, [-1, self.embedding_dim]), rows)

    def _group(self, latents):
        """`[batch, ..., G * D]` to float32 `[G, N, D]`."""
        self._check_channels(latents.shape)
        if not latents.dtype.is_floating:
            raise ValueError(
                "Latents are floating-point vectors. Received: latents of "
                f"dtype {latents.dtype.name}; `decode` looks codes up."
            )
        z = tf.cast(latents, tf.float32)
        z = tf.reshape(z, [-1, self.num_codebooks, self.embedding_dim])
        if self.num_codebooks == 1:
            return tf.reshape(z, [1, -1, self.embedding_dim])
        return tf.transpose(z, [1, 0, 2])

    def _ungroup(self, quantized, like):
        if self.num_codebooks > 1:
            quantized = tf.transpose(quantized, [1, 0, 2])
        quantized = tf.reshape(quantized, tf.shape(like))
        quantized = _of_shape(quantized, like.shape)
        return tf.cast(quantized, like.dtype)

    def _check_channels(self, shape):
        expected = self.num_codebooks * self.embedding_dim
        if len(shape) < 2 or shape[-1] != expected:
            raise ValueError(
                "The last axis of latents [batch, ..., channels] must have "
                "num_codebooks * embedding_dim = "
                f"{self.num_codebooks} * "
                f"{self.embedding_dim} = {expected} channels. Received: "
                f"latents of shape {tuple(shape)}. Put a 1x1 convolution (or "
                f"Dense) with {expected} outputs before the quantizer."
            )

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def compute_output_spec(
        self,
        latents,
        training=None,
        mask=None,
        return_codes=False,
        only=None,
    ):
        groups = self.num_codebooks
        if only == "embeddings":
            self._check_code_type(latents.dtype, latents.shape)
            shape = latents.shape if groups == 1 else latents.shape[:-1]
            channels = groups * self.embedding_dim
            return keras.KerasTensor((*shape, channels), "float32")
        self._check_channels(latents.shape)
        ends = (groups,) if groups > 1 else ()
        codes = keras.KerasTensor((*latents.shape[:-1], *ends), "int32")
        if only is not None:
            self._only(only)
            return codes
        quantized = keras.KerasTensor(latents.shape, latents.dtype)
        return (quantized, codes) if return_codes else quantized


def _of_shape(tensor, shape):
    """Returns the tensor, whose sizes a graph then knows.

    `tf.ensure_shape` would be an operation, which TFLite has not.
    """
    tensor.set_shape(shape)
    return tensor
