"""The WaveNet: an autoregressive density of sequences of codes or levels."""

import keras
import tensorflow as tf

from vqvae_tf.densities.autoregressive import wavenet_sampling
from vqvae_tf.densities.autoregressive.code_head import CodeHead
from vqvae_tf.densities.autoregressive.code_network import CodeNetwork
from vqvae_tf.densities.autoregressive.mixture_head import LogisticMixtureHead
from vqvae_tf.densities.autoregressive.wavenet_layer import WaveNetLayer
from vqvae_tf.densities.conditioning import broadcast_batch
from vqvae_tf.utils.checks import check_positive
from vqvae_tf.utils.graph_cache import call

# From so many positions on, an eager call of `sample` is worth compiling.
_COMPILED_FROM = 4096


@keras.saving.register_keras_serializable("vqvae_tf")
class WaveNet(CodeNetwork):
    """WaveNet over the levels of a waveform, or over codes in time.

    `log p(x | c) = sum_t log p(x_t | x_{<t}, c)`, and at a position over its
    codebooks in order. Gated causal convolutions whose dilations double from
    layer to layer, in each stack from 1; what all of them compute goes through
    skip connections to the head. A position sees the `receptive_field = 1 +
    num_stacks * (kernel_size - 1) * (2 ** layers_per_stack - 1)` codes before
    it. Sequences of any length can be evaluated and drawn.

    Args:
        num_embeddings: K, codes are in 0..K-1 (256 for mu-law levels).
        event_shape: (time,), the length that `sample` draws by default.
        num_codebooks: G; codes have a last axis G where it is > 1.
        hidden_channels: of the residual stream and of the gates.
        skip_channels: of the sum of the skip connections.
        head_channels: of each codebook's hidden layer in the head.
        num_stacks: how many times the dilations start from 1.
        layers_per_stack: with dilations 1, 2, 4, ...
        kernel_size: of all convolutions, at least 2.
        dropout: the rate on the gated activations, in training.
        global_channels: channels of `context["global"]` (a speaker, say), or
            None. It is projected into the gates of each layer.
        local_channels: channels of `context["local"]`, or None, likewise.
        local_upsampling: length of the codes over that of the local context,
            which the density's own transposed convolutions undo.
        local_repeat: a factor of `local_upsampling` that is repetition instead
            of transposed convolutions. Layers project the local context before
            they repeat it, which divides that work by the factor.
        local_layers: convolutions of window 3 over the local context before it
            is upsampled, which see its past and its future.
        output: "categorical", or "logistic_mixture" for codes that are levels
            of a scale: their masses are those of a mixture of discretised
            logistics. With one codebook only.
        num_components: of the mixture.

    Attributes:
        receptive_field: see above.
        jit_sampling: whether `sample` compiles its steps by XLA: True, False,
            or "auto", for eager calls of 4,096 positions and more. Compiled
            steps serve any length, at three times the speed, but each batch
            size (and with `given` each length) is compiled on its first use.
            It is not saved.

    Call arguments:
        value: codes, integers `[batch, time]`, or `[batch, time, G]`.
        context: a dict with `"global"` float `[batch, global_channels]` and
            `"local"` float `[batch, time / local_upsampling, local_channels]`,
            as configured.
        mask: bool or float `[batch, time]`; positions of 0 count nothing
            (later ones still see their codes).
        training: whether dropout is applied.

    Returns:
        The log-probability, float32 `[batch]`, in nats.

    Raises:
        ValueError: for codes of another shape or (eagerly) outside 0..K-1,
            and for missing, unexpected or ill-shaped context entries.

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
        num_embeddings: int,
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
        **kwargs,
    ):
        super().__init__(
            num_embeddings,
            event_shape,
            num_codebooks,
            hidden_channels,
            head_channels,
            dropout,
            global_channels,
            local_channels,
            local_upsampling,
            **kwargs,
        )
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
    def receptive_field(self):
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
        self._make_dropout()
        # The sum of all skip connections is one product.
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
            return CodeHead(self.num_embeddings, self.num_codebooks, **options)
        return LogisticMixtureHead(
            self.num_embeddings,
            num_components=self.num_components,
            **options,
        )

    def build(self, input_shape=None):
        """Creates every variable; the shape of the data is not needed."""
        self.skips.build((None, len(self.blocks) * self.hidden_channels))
        super().build(input_shape)

    def features(self, embedded, global_context, local_context, drop):
        """The stacks of convolutions; see `CodeNetwork.features`."""
        # Position t sees the embeddings of t - 1 and before.
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
        num_samples,
        grid,
        context,
        choose,
        record=False,
        jit_compile=None,
    ):
        """See `CodeDensity.visit`; `jit_compile` as `jit_sampling`."""
        if jit_compile is None:
            jit_compile = self.jit_sampling is True
        global_context, local = self.prepare_context(context, grid)
        if local is not None:
            local = tf.repeat(local, self.local_repeat, axis=1)
        contexts = [
            broadcast_batch(f'context["{name}"]', entry, num_samples)
            for name, entry in (("global", global_context), ("local", local))
        ]
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
        # One graph for all batch sizes and lengths: another one would be
        # compiled, too.
        return call(
            draw,
            arguments,
            context=lambda entry: range(len(entry.shape) - 1),
            sampling=lambda option: [0, 1] if len(option.shape) > 1 else [],
        )

    def _draw_time(self, compiled, arguments):
        grid = (arguments["time"],)
        return self._draw(grid, arguments, jit_compile=compiled)

    def get_config(self):
        return {
            **super().get_config(),
            "skip_channels": self.skip_channels,
            "num_stacks": self.num_stacks,
            "layers_per_stack": self.layers_per_stack,
            "kernel_size": self.kernel_size,
            "local_repeat": self.local_repeat,
            "local_layers": self.local_layers,
            "output": self.output_kind,
            "num_components": self.num_components,
        }


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
