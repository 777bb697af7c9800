"""A train step of each quantizer, beside that of vector-quantize-pytorch.

    python benchmarks/quantizer_peers.py [--rows "residual 8;FSQ"] [--runs 5]
    python benchmarks/quantizer_peers.py --table

Forward, gradient of latents and parameters, update of the codebook; ours as a
graph, theirs as their users run it. N=65,536 latents of D=64 channels, or as
many as the bits of a quantizer without codebook, and K=1,024 codes. Of random
projections, which learn nothing, the codes alone are computed. Times are taken
in turn, each quantizer in a process of its own, and peak memory in another;
with --keep, docs/quantizer_speed.json keeps the figures. That both compute the
same is what tests/quantizers/test_peers*.py show.
"""

import json
import math
import statistics

import command
import numpy as np
import peers
import tensorflow as tf
import timing

from vqvae_tf import quantizers

FILE = command.DOCS / "quantizer_speed.json"
N, K, D = 65_536, 1_024, 64
COMMITMENT = peers.COMMITMENT_COST
LEVELS = (8, 5, 5, 5)  # 1,000 codes, as in the paper
BITS = int(math.log2(K))


def _ema(**options):
    return quantizers.VectorQuantizerEMA(K, D, COMMITMENT, **options)


def _torch_vq(**options):
    return peers.torch_quantizer(K, D, **options)


def _torch_residual(count, kind="ResidualVQ", **options):
    import vector_quantize_pytorch as theirs

    return getattr(theirs, kind)(
        dim=D,
        num_quantizers=count,
        codebook_size=K,
        decay=peers.DECAY,
        commitment_weight=COMMITMENT,
        kmeans_init=False,
        threshold_ema_dead_code=0,
        rotation_trick=False,
        **options,
    )


def _torch(kind, *arguments, **options):
    import vector_quantize_pytorch as theirs

    return getattr(theirs, kind)(*arguments, **options)


def _residual(count, channels=D):
    stage = quantizers.VectorQuantizerEMA(K, channels, COMMITMENT)
    return quantizers.ResidualQuantizer(stage, count)


# Channels, what makes ours, and what makes theirs.
ROWS = {
    "EMA": (D, _ema, _torch_vq),
    "gradient": (
        D,
        lambda: quantizers.VectorQuantizer(K, D, COMMITMENT),
        lambda: _torch_vq(learnable_codebook=True, ema_update=False),
    ),
    "cosine": (
        D,
        lambda: _ema(distance="cosine"),
        lambda: _torch_vq(use_cosine_sim=True),
    ),
    "rotation": (
        D,
        lambda: _ema(gradient="rotation"),
        lambda: _torch_vq(rotation_trick=True),
    ),
    "factorized to 8": (
        D,
        lambda: _ema(codebook_dim=8, distance="cosine"),
        lambda: _torch_vq(codebook_dim=8, use_cosine_sim=True),
    ),
    "groups 4": (
        D,
        lambda: quantizers.VectorQuantizerEMA(
            K, D // 4, COMMITMENT, num_codebooks=4
        ),
        lambda: _torch_vq(
            heads=4, separate_codebook_per_head=True, codebook_dim=D // 4
        ),
    ),
    "residual 8": (D, lambda: _residual(8), lambda: _torch_residual(8)),
    "grouped residual 2 x 4": (
        D,
        lambda: quantizers.GroupedQuantizer(_residual(4, D // 2), 2),
        lambda: _torch_residual(4, "GroupedResidualVQ", groups=2),
    ),
    "FSQ": (
        len(LEVELS),
        lambda: quantizers.FSQ(LEVELS),
        lambda: _torch("FSQ", list(LEVELS)),
    ),
    "LFQ": (
        BITS,
        lambda: quantizers.LFQ(BITS),
        lambda: _torch("LFQ", codebook_size=K, dim=BITS),
    ),
    "BSQ": (
        BITS,
        lambda: quantizers.BSQ(BITS),
        lambda: _torch("LFQ", codebook_size=K, dim=BITS, spherical=True),
    ),
    "SimVQ": (
        D,
        lambda: quantizers.SimVQ(K, D),
        lambda: _torch("SimVQ", dim=D, codebook_size=K, rotation_trick=False),
    ),
    "random projection": (
        D,
        lambda: quantizers.RandomProjectionQuantizer(K, D),
        lambda: _torch(
            "RandomProjectionQuantizer",
            dim=D,
            codebook_size=K,
            codebook_dim=16,
            norm=False,
        ),
    ),
}
# Rows of which the codes alone are computed.
ENCODED = {"random projection"}


def arrays(channels):
    """Random latents, and weights of the size of a mean's gradient."""
    rng = np.random.default_rng(0)
    latents = rng.standard_normal([N, channels], np.float32)
    weights = rng.standard_normal([N, channels], np.float32)
    return latents, weights / (N * channels)


def our_step(row):
    """Returns a function that does one step and waits for its result."""
    channels, make, _ = ROWS[row]
    layer = make()
    layer.build((None, channels))
    latents, weights = map(tf.constant, arrays(channels))
    if row in ENCODED:
        encode = tf.function(layer.encode, autograph=False)
        return lambda: encode(latents).numpy()

    @tf.function(autograph=False)
    def step(latents, weights):
        with tf.GradientTape() as tape:
            tape.watch(latents)
            quantized = layer(latents, training=True)
            loss = tf.add_n([tf.zeros([]), *layer.losses])
            loss += tf.reduce_sum(quantized * weights)
        variables = [v.value for v in layer.trainable_variables]
        return tape.gradient(loss, [latents, *variables])

    return lambda: [gradient.numpy() for gradient in step(latents, weights)]


def their_step(row):
    import torch

    channels, _, make = ROWS[row]
    torch.manual_seed(0)
    module = make()
    module.train()
    latents, weights = map(torch.from_numpy, arrays(channels))
    latents, weights = latents[None].requires_grad_(), weights[None]

    def codes():
        with torch.no_grad():
            return module(latents).numpy()

    def step():
        module.zero_grad()
        latents.grad = None
        quantized, _, *losses = module(latents)
        loss = (quantized * weights).sum()
        for value in losses[:1]:  # LFQ returns a breakdown as well
            loss = loss + value.sum()
        loss.backward()
        return latents.grad.numpy()

    return codes if row in ENCODED else step


SIDES = {"ours": our_step, "theirs": their_step}


def measure_memory(side, row):
    """Prints the MiB that steps need, without the data."""
    step = SIDES[side](row)

    def steps():
        for _ in range(3):
            step()

    print(timing.peak_mib_of(steps))


def compare(row, runs):
    """Prints and returns times and memory of both sides."""
    print(row, flush=True)
    steps = {
        side: timing.Worker(__file__, "--serve", side, "--rows", row)
        for side in SIDES
    }
    times = timing.paired(steps, runs)
    timing.report(times, "ours")
    for step in steps.values():
        step.close()
    memory = {
        side: timing.in_process(__file__, "--memory_of", side, "--rows", row)[0]
        for side in SIDES
    }
    print(f"  MiB {memory}", flush=True)
    return {
        "processor": command.processor(),
        "ms": {s: [1e3 * t for t in values] for s, values in times.items()},
        "ratios": timing.ratios(times, "ours", "theirs"),
        "mib": memory,
    }


def table(found):
    """Returns the figures of all rows as a table in Markdown."""
    lines = [
        "| quantizer | ms | theirs, ms | theirs / ours | MiB | theirs, MiB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in filter(found.get, ROWS):
        ms, mib = found[row]["ms"], found[row]["mib"]
        cells = [
            row,
            _number(statistics.median(ms["ours"])),
            _number(statistics.median(ms["theirs"])),
            timing.summary(found[row]["ratios"]),
            _number(mib["ours"]),
            _number(mib["theirs"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _number(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def keep(row, figures):
    """Writes the figures of one row beside those of the others."""
    found = json.loads(FILE.read_text()) if FILE.exists() else {}
    command.write(FILE, {**found, row: figures})


def main():
    parser = command.parser(__doc__, rows=";".join(ROWS), runs=5)
    parser.add_argument("--keep", action="store_true", help=f"in {FILE.name}")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--memory_of", choices=SIDES)
    parser.add_argument("--serve", choices=SIDES)
    arguments = parser.parse_args()
    rows = arguments.rows.split(";")
    if arguments.serve:
        timing.serve(SIDES[arguments.serve](rows[0]))
    elif arguments.memory_of:
        measure_memory(arguments.memory_of, rows[0])
    elif arguments.table:
        print(table(json.loads(FILE.read_text())))
    elif peers.installed("lucidrains"):
        for row in rows:
            figures = compare(row, arguments.runs)
            if arguments.keep:
                keep(row, figures)


if __name__ == "__main__":
    main()
