"""How long it takes to load each preset of the zoo.

    python benchmarks/preset_load.py [--presets A,B] [--runs 5]

Fresh processes; each loads one preset twice, after the imports. The first
time has TensorFlow's own start in it.
"""

import command
import timing

from vqvae_tf.zoo_path import zoo_dir

CODE = """
import sys, time
import keras, tensorflow
from vqvae_tf import presets
seconds = []
for _ in range(2):
    start = time.perf_counter()
    presets.load(sys.argv[1])
    seconds.append(time.perf_counter() - start)
print(*seconds)
"""


def main():
    folder = zoo_dir() / "presets"
    names = sorted(path.parent.name for path in folder.glob("*/metadata.json"))
    parser = command.parser(__doc__, presets=",".join(names), runs=5)
    options = parser.parse_args()
    for name in options.presets.split(","):
        times = [
            timing.in_process("-c", CODE, name) for _ in range(options.runs)
        ]
        weights = sum(p.stat().st_size for p in (folder / name).glob("*.h5"))
        first, second = zip(*times)
        print(
            f"{name:21} {weights / 2**20:4.1f} MiB of weights: first load s "
            f"{timing.summary(first)}, second {timing.summary(second)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
