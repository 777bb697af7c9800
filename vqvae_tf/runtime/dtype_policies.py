"""The dtype policy that suits the processor, and the cost of others."""

import functools
import os
import pathlib

import tensorflow as tf
from absl import logging

# Value in a recipe that `choose` replaces by one of POLICIES.
AUTO = "auto"
POLICIES = ("float32", "mixed_bfloat16", "mixed_float16", "bfloat16")

_CPU_INFO = pathlib.Path("/proc/cpuinfo")
# On by default on the processors of `_CPU`.
_ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
# Instruction sets, their flags in Linux, and the slowdown without them.
_CPU = {
    "bfloat16": ("AVX512_BF16 or AMX", {"avx512_bf16", "amx_bf16"}, 8),
    "float16": ("AVX512_FP16 or AMX", {"avx512_fp16", "amx_fp16"}, 5),
}
_GPU_BFLOAT16 = (8, 0)


def choose() -> str:
    """Returns the policy that "auto" means on the devices of this process.

    Returns:
        "mixed_bfloat16" on TPUs, on GPUs of compute capability 8.0 or more, and
        on CPUs with AVX512_BF16 or AMX_BF16 with oneDNN on; else "float32".
    """
    return "float32" if _cost("mixed_bfloat16") else "mixed_bfloat16"


def resolve(policy: str) -> str:
    """Returns a recipe's dtype policy, with "auto" replaced by `choose()`.

    Example:

    >>> resolve("mixed_float16")
    'mixed_float16'
    """
    return choose() if policy == AUTO else policy


@functools.cache
def warn_if_slow(policy: str) -> None:
    """Warns once if the processor has no instructions for a policy.

    Args:
        policy: name of a dtype policy; names outside POLICIES never warn.
    """
    cost = _cost(policy)
    if cost:
        logging.warning(
            "The dtype policy %s is slow here: %s Use float32, or for a new "
            'run of a recipe "auto".',
            policy,
            cost,
        )


def _cost(policy):
    """Returns why a policy is slow on this processor, or None."""
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
    elif os.environ.get(_ONEDNN, "1").strip().lower() in ("0", "false"):
        lack = (
            f"oneDNN, which has this CPU's instructions for {kind}, is "
            f"switched off by {_ONEDNN}"
        )
    else:
        return None
    return f"{lack}; a step takes about {factor} times as long as in float32."


def _compute_capability(gpu):
    details = tf.config.experimental.get_device_details(gpu)
    return details.get("compute_capability") or (0, 0)


def _cpu_flags():
    """Returns the flags that Linux lists for an x86 processor."""
    try:
        lines = _CPU_INFO.read_text(errors="replace").splitlines()
    except OSError:
        return frozenset()
    flags = (line.partition(":") for line in lines)
    found = [value for key, _, value in flags if key.strip() == "flags"]
    return frozenset(found[0].split()) if found else frozenset()
