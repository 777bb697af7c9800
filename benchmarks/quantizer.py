"""Quantizers in a train step: forward, gradient, update of the codebook.

    python benchmarks/quantizer.py [--sizes 8192x512,65536x8192] [--runs 7]

Ours against the textbook form (all distances and one-hot products), Sonnet's
VectorQuantizerEMA and lucidrains' VectorQuantize, on latents and codebooks of
64 channels. First all must give the same codes and gradients; then time is
measured in turn, and peak memory, each quantizer in a process of its own.
"""

import command
import numpy as np
import peers
import timing

DIM = 64
QUANTIZERS = {
    "ours": peers.ours,
    "textbook": peers.textbook,
    "sonnet": peers.sonnet,
    "lucidrains": peers.lucidrains,
}


def data(latents, embeddings):
    """Returns random latents, the weights of the loss, and a codebook."""
    rng = np.random.default_rng(0)

    def normal(rows):
        return rng.standard_normal([rows, DIM], np.float32)

    # The size of a mean's gradient, so that both terms of the loss count.
    weights = normal(latents) / (latents * DIM)
    return normal(latents), weights, normal(embeddings)


def check_equal(quantizers, latents, codebook):
    """Raises SystemExit unless all give our codes and our gradient.

    Where codes differ, the two embeddings must be equally near to one part in
    100,000: rounding decides between them.
    """
    codes = {name: q.codes() for name, q in quantizers.items()}
    gradients = {name: q.step() for name, q in quantizers.items()}
    for name in quantizers:
        differ = codes[name] != codes["ours"]
        near, other = (
            _squared_distances(latents, codebook, codes[n], differ)
            for n in ("ours", name)
        )
        if np.any(abs(near - other) > 1e-5 * near):
            raise SystemExit(f"{name} has other codes than ours.")
        ours = gradients["ours"][~differ]
        error = np.abs(gradients[name][~differ] - ours).mean()
        if error > 1e-4 * np.abs(ours).mean():
            raise SystemExit(f"{name} has another gradient than ours.")
        if np.any(differ):
            print(f"  {name}: {differ.sum()} codes by another rounding")
    print(f"  the same codes and gradients: {', '.join(quantizers)}")


def _squared_distances(latents, codebook, codes, rows):
    difference = latents[rows].astype(np.float64) - codebook[codes[rows]]
    return np.sum(difference**2, axis=-1)


def measure_memory(name, latents, embeddings):
    """Prints the MiB that steps of one quantizer need, without their data."""
    QUANTIZERS[name](*data(64, 16)).step()
    step = QUANTIZERS[name](*data(latents, embeddings)).step

    def steps():
        for _ in range(3):
            step()

    print(timing.peak_mib_of(steps))


def compare(size, names, runs):
    """Prints time and memory of all at one size, "NxK"."""
    latents, embeddings = (int(number) for number in size.split("x"))
    print(f"N={latents:,} K={embeddings:,} D={DIM}", flush=True)
    arrays = data(latents, embeddings)
    quantizers = {name: QUANTIZERS[name](*arrays) for name in names}
    check_equal(quantizers, arrays[0], arrays[2])
    del quantizers
    steps = {
        name: timing.Worker(__file__, "--serve", name, "--sizes", size)
        for name in names
    }
    timing.report(timing.paired(steps, runs), "ours")
    for step in steps.values():
        step.close()
    mib = {
        name: timing.in_process(__file__, "--memory_of", name, "--sizes", size)
        for name in names
    }
    for name, (value,) in mib.items():
        ratio = value / max(mib["ours"][0], 1.0)
        print(f"  {name:22} MiB {value:.0f}; {name} / ours: {ratio:.1f}")


def main():
    parser = command.parser(
        __doc__,
        sizes="8192x512,131072x512,65536x8192",
        runs=7,
        peers="textbook,sonnet,lucidrains",
    )
    parser.add_argument(
        "--memory_of", choices=QUANTIZERS, help="in a process of its own"
    )
    parser.add_argument(
        "--serve", choices=QUANTIZERS, help="the same, for times"
    )
    arguments = parser.parse_args()
    one = arguments.memory_of or arguments.serve
    if one:
        latents, embeddings = map(int, arguments.sizes.split("x"))
        if arguments.serve:
            step = QUANTIZERS[one](*data(latents, embeddings)).step
            timing.serve(step)
        else:
            measure_memory(one, latents, embeddings)
        return
    names = [n for n in arguments.peers.split(",") if peers.installed(n)]
    for size in arguments.sizes.split(","):
        compare(size, ["ours", *names], arguments.runs)


if __name__ == "__main__":
    main()
