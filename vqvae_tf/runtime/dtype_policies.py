"""Which dtype policy suits the processor, and what the others cost."""

import functools
import os
import pathlib

import tensorflow as tf
from absl import logging

# In a recipe: the one of POLICIES that suits the processor.
AUTO = "auto"
POLICIES = ("float32", "mixed_bfloat16", "mixed_float16", "bfloat16")

_CPU_INFO = pathlib.Path("/proc/cpuinfo")
# The instruction sets, their flags in Linux, and the slowdown without them.
_CPU = {
    "bfloat16": ("AVX512_BF16 or AMX", {"avx512_bf16", "amx_bf16"}, 8),
    "float16": ("AVX512_FP16 or AMX", {"avx512_fp16", "amx_fp16"}, 5),
}
_GPU_BFLOAT16 = (8, 0)


def choose() -> str:
    """Returns what "auto" becomes on the devices of this process.

    Returns:
        "mixed_bfloat16" on TPUs, on GPUs of compute capability 8.0 or more, and
        on CPUs with AVX512_BF16 or AMX_BF16 with oneDNN on; else "float32".
    """
    return "float32" if _cost("mixed_bfloat16") else "mixed_bfloat16"


def resolve(policy: str) -> str:
    """Returns a recipe's dtype policy, "auto" replaced by `choose()`.

    Example:

    >>> resolve("mixed_float16")
    'mixed_float16'
    """
    return choose() if policy == AUTO else policy


@functools.cache
def warn_if_slow(policy: str):
    """Warns, once, of a policy that the processor has no instructions for.

    Args:
        policy: a name; those outside POLICIES cost nothing.
    """
    cost = _cost(policy)
    if cost:
        logging.warning(
            "The dtype policy %s is slow here: %s Take float32, or for a new "
            'run of a recipe "auto".',
            policy,
            cost,
        )


def _cost(policy):
    """Returns what a policy costs on this processor; None for nothing."""
    kind = policy.removeprefix("mixed_")
    if kind not in ("bfloat16", "float16"):
        return None
    if tf.config.list_logical_devices("TPU"):
        return None
    gpus = tf.config.get_visible_devices("GPU")
    if gpus:
        capability = min(map(_compute_capability, gpus))
        if kind == "float16" or capability >= _GPU_BFLOAT16:
            return None
        return "the GPU has no instructions for bfloat16."
    names, instructions, factor = _CPU[kind]
    if not instructions & _cpu_flags():
        lack = f"this CPU has no instructions for {kind} ({names})"
    elif _onednn_is_off():
        lack = (
            f"oneDNN, which has this CPU's instructions for {kind}, is "
            "switched off by TF_ENABLE_ONEDNN_OPTS"
        )
    else:
        return None
    return f"{lack}; a step takes some {factor} times the time of float32."


def _compute_capability(gpu):
    details = tf.config.experimental.get_device_details(gpu)
    return details.get("compute_capability") or (0, 0)


def _onednn_is_off():
    # TensorFlow uses it on these processors unless told otherwise.
    told = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1")
    return told.strip().lower() in ("0", "false")


def _cpu_flags():
    """Returns the flags that Linux lists for an x86 processor."""
    try:
        lines = _CPU_INFO.read_text(errors="replace").splitlines()
    except OSError:
        return frozenset()
    flags = (line.partition(":") for line in lines)
    found = [value for key, _, value in flags if key.strip() == "flags"]
    return frozenset(found[0].split()) if found else frozenset()
