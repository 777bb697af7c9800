"""The WaveNet: an autoregressive density of sequences of codes or levels."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.densities.autoregressive import wavenet_sampling
from vqvae_tf.densities.autoregressive.code_head import CodeHead
from vqvae_tf.densities.autoregressive.code_network import CodeNetwork
from vqvae_tf.densities.autoregressive.mixture_head import LogisticMixtureHead
from vqvae_tf.densities.autoregressive.wavenet_layer import WaveNetLayer
from vqvae_tf.layers.dropout import Dropout
from vqvae_tf.utils.checks import check_positive
from vqvae_tf.utils.graph_cache import call

# From this many positions on, compiling an eager call of `sample` pays off.
_COMPILED_FROM = 4096


@keras.saving.register_keras_serializable("vqvae_tf")
class WaveNet(CodeNetwork):
    r"""WaveNet over the levels of a waveform, or over codes in time.

    .. math::

        \log p(x \mid c) = \sum_t \log p(x_t \mid x_{<t}, c),

    and at each position over its codebooks in order. It has stacks of gated
    causal convolutions, with dilations that double from layer to layer,
    starting at 1 in each stack; all layers have skip connections to the head. A
    position sees the `receptive_field` codes before it, which is `1 +
    num_stacks * (kernel_size - 1) * (2 ** layers_per_stack - 1)`. Sequences of
    any length can be evaluated and sampled.

    Args:
        num_embeddings: K, codes are in 0..K-1 (256 for mu-law levels); or a
            sequence of G numbers, one for each codebook, such as the
            `num_codes` of a quantizer.
        event_shape: (time,), the length that `sample` draws by default.
        num_codebooks: G; codes have a last axis G if it is > 1.
        hidden_channels: of the residual stream and of the gates.
        skip_channels: of the sum of the skip connections.
        head_channels: of each codebook's hidden layer in the head.
        num_stacks: the number of stacks.
        layers_per_stack: with dilations 1, 2, 4, ...
        kernel_size: of all convolutions, at least 2.
        dropout: the rate on the gated activations, in training.
        global_channels: channels of `context["global"]`, such as a speaker,
            which is projected into the gates of each layer; or None.
        local_channels: channels of `context["local"]`, or None, likewise.
        local_upsampling: ratio of the codes' length to that of the local
            context, which is upsampled by transposed convolutions.
        local_repeat: a factor of `local_upsampling` for which the context is
            repeated instead. Layers project the local context before repeating
            it, which divides that work by the factor.
        local_layers: convolutions of window 3 over the local context before
            upsampling, which see its past and its future.
        output: "categorical", or "logistic_mixture" for codes that are ordered
            levels, with the masses of a mixture of discretized logistics; for
            one codebook only.
        num_components: of the mixture.

    Attributes:
        receptive_field: see above.
        jit_sampling: whether `sample` compiles its steps with XLA: True,
            False, or "auto", for eager calls of 4,096 positions or more.
            Compiled steps serve any length, at three times the speed, but each
            batch size (and with `given` each length) is compiled on first use.
            It is not saved.

    Call arguments:
        value: codes, integers `[batch, time]`, or `[batch, time, G]`.
        context: a dict with `"global"` float `[batch, global_channels]` and
            `"local"` float `[batch, time / local_upsampling, local_channels]`,
            as configured.
        mask: bool or float `[batch, time]`; positions of 0 are excluded
            (later ones still see their codes).
        training: whether to apply dropout.

    Returns:
        The log-probability, float32 `[batch]`, in nats.

    Raises:
        ValueError: for codes of the wrong shape or (eagerly) outside 0..K-1,
            and for missing, unexpected or misshapen context entries.

    Example: a prior over the codes of speech, given the speaker.

    >>> prior = WaveNet(
    ...     512, (16,), hidden_channels=16, num_stacks=1, layers_per_stack=4,
    ...     global_channels=5,
    ... )
    >>> prior.receptive_field
    16
    >>> codes, speaker = tf.zeros([2, 16], tf.int32), tf.one_hot([3, 4], 5)
    >>> prior.log_prob(codes, {"global": speaker}).shape
    TensorShape([2])
    >>> prior.sample(context={"global": speaker}, seed=0).shape
    TensorShape([2, 16])

    References:
        van den Oord et al. 2016, arXiv:1609.03499.
        van den Oord et al. 2017, arXiv:1711.10433, section 2.1 (mixture).
        Le Paine et al. 2016, arXiv:1611.09482 (caching in sampling).
    """

    grid_axes = ("time",)
    jit_sampling = "auto"

    def __init__(
        self,
        num_embeddings: int | Sequence[int],
        event_shape: tuple[int, ...] = (8192,),
        num_codebooks: int = 1,
        hidden_channels: int = 64,
        skip_channels: int = 128,
        head_channels: int = 256,
        num_stacks: int = 2,
        layers_per_stack: int = 10,
        kernel_size: int = 2,
        dropout: float = 0.0,
        global_channels: int | None = None,
        local_channels: int | None = None,
        *,
        local_upsampling: int = 1,
        local_repeat: int = 1,
        local_layers: int = 0,
        output: str = "categorical",
        num_components: int = 10,
        **kwargs: Any,
    ) -> None:
        codes = (num_embeddings, event_shape, num_codebooks)
        sizes = (hidden_channels, head_channels, dropout)
        contexts = (global_channels, local_channels, local_upsampling)
        super().__init__(*codes, *sizes, *contexts, **kwargs)
        self.skip_channels = check_positive("skip_channels", skip_channels)
        self.num_stacks = check_positive("num_stacks", num_stacks)
        self.layers_per_stack = check_positive(
            "layers_per_stack", layers_per_stack
        )
        self.kernel_size = check_positive("kernel_size", kernel_size)
        if kernel_size < 2:
            raise ValueError(
                f"kernel_size must be at least 2. Received: {kernel_size}."
            )
        self.local_repeat = check_positive("local_repeat", local_repeat)
        self.local_layers = 0
        if local_layers:  # 0 for none
            self.local_layers = check_positive("local_layers", local_layers)
        if local_upsampling % local_repeat:
            raise ValueError(
                "local_repeat must divide local_upsampling. Received: "
                f"local_repeat={local_repeat}, "
                f"local_upsampling={local_upsampling}."
            )
        self.output_kind = _check_output(output, num_codebooks)
        self.num_components = check_positive("num_components", num_components)
        self._make_layers()

    @property
    def receptive_field(self) -> int:
        dilations = 2**self.layers_per_stack - 1
        return 1 + self.num_stacks * (self.kernel_size - 1) * dilations

    def _make_layers(self):
        dtype, channels = self.dtype_policy, self.hidden_channels
        local_channels = self._make_inputs()
        count = self.num_stacks * self.layers_per_stack
        self.blocks = [
            WaveNetLayer(
                channels,
                self.kernel_size,
                dilation_rate=2 ** (i % self.layers_per_stack),
                last=i == count - 1,
                global_channels=self.global_channels,
                local_channels=local_channels,
                local_repeat=self.local_repeat,
                dtype=dtype,
                name=f"layer_{i}",
            )
            for i in range(count)
        ]
        self.drop = Dropout(self.dropout, dtype=dtype)
        # Computes the sum of all skip connections as one matrix product.
        self.skips = keras.layers.Dense(
            self.skip_channels, dtype=dtype, name="skips"
        )
        self.head = self._make_head()

    def _make_head(self):
        options = {
            "channels": self.head_channels,
            "feature_channels": self.skip_channels,
            "embedding_channels": self.hidden_channels,
            "dtype": self.dtype_policy,
            "name": "head",
        }
        if self.output_kind == "categorical":
            return CodeHead(self.num_codes, self.num_codebooks, **options)
        return LogisticMixtureHead(
            self.num_embeddings,
            num_components=self.num_components,
            **options,
        )

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        self.skips.build((None, len(self.blocks) * self.hidden_channels))
        super().build(input_shape)

    def features(
        self,
        embedded: tf.Tensor,
        global_context: tf.Tensor | None,
        local_context: tf.Tensor | None,
        drop: Callable[[tf.Tensor], tf.Tensor] | None,
    ) -> tf.Tensor:
        """Applies the convolutions; see `CodeNetwork.features`."""
        # Position t sees the embeddings up to t - 1.
        stream = tf.reduce_sum(embedded, axis=-2)[:, :-1]
        stream = tf.pad(stream, [[0, 0], [1, 0], [0, 0]])
        gated = []
        for layer in self.blocks:
            stream, z = layer(
                stream, global_context, local_context, dropout=drop
            )
            gated.append(z)
        return self.skips(tf.concat(gated, axis=-1))

    # Samples ----------------------------------------------------------------

    def visit(
        self,
        num_samples: int | tf.Tensor,
        grid: Sequence[int | tf.Tensor],
        context: dict[str, tf.Tensor] | None,
        choose: Callable[..., tf.Tensor],
        record: bool = False,
        jit_compile: bool | None = None,
    ) -> tf.Tensor:
        """See `CodeDensity.visit`; `jit_compile` as `jit_sampling`."""
        if jit_compile is None:
            jit_compile = self.jit_sampling is True
        contexts = self._contexts(context, grid, num_samples)
        if contexts[1] is not None:
            contexts[1] = tf.repeat(contexts[1], self.local_repeat, axis=1)
        return wavenet_sampling.run(
            self, num_samples, *grid, contexts, choose, record, jit_compile
        )

    def _draw_eagerly(self, grid, arguments):
        compiled = self.jit_sampling
        if compiled == "auto":
            compiled = grid[0] >= _COMPILED_FROM
        filtered = arguments["sampling"].is_filtered
        draw = self._graphs.get(self._draw_time, bool(compiled), kind=filtered)
        arguments = {**arguments, "time": tf.convert_to_tensor(grid[0])}
        # One graph for all batch sizes and lengths: each graph would be
        # compiled on its own.
        return call(
            draw,
            arguments,
            context=lambda entry: range(len(entry.shape) - 1),
            sampling=lambda option: [0, 1] if len(option.shape) > 1 else [],
        )

    def _draw_time(self, compiled, arguments):
        grid = (arguments["time"],)
        return self._draw(grid, arguments, jit_compile=compiled)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "output": self.output_kind}


def _check_output(output, num_codebooks):
    if output not in ("categorical", "logistic_mixture"):
        raise ValueError(
            'output must be "categorical" or "logistic_mixture". '
            f"Received: output={output!r}."
        )
    if output == "logistic_mixture" and num_codebooks != 1:
        raise ValueError(
            "A mixture of logistics is over the levels of one codebook. "
            f'Received: output="logistic_mixture", {num_codebooks} codebooks.'
        )
    return output
