"""What `import vqvae_tf` adds to `import tensorflow`.

    python benchmarks/import_time.py [--runs 7]

Fresh processes; each imports TensorFlow, then this package, and times both.
"""

import command
import timing

CODE = """
import time
start = time.perf_counter()
import tensorflow
between = time.perf_counter()
import vqvae_tf
print(between - start, time.perf_counter() - between)
"""


def main():
    runs = command.parser(__doc__, runs=7).parse_args().runs
    timing.in_process("-c", CODE)  # Python's caches on disk
    both = [timing.in_process("-c", CODE) for _ in range(runs)]
    print(f"import tensorflow:   s {timing.summary([a for a, _ in both])}")
    print(f"import vqvae_tf adds s {timing.summary([b for _, b in both])}")
    print(f"share of it          {timing.summary([b / a for a, b in both])}")


if __name__ == "__main__":
    main()
