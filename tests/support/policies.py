"""A worker that begins a run whose policy is "auto", and prints what it is.

    python policies.py WORKDIR CHOICE

CHOICE is the policy that suits this worker's processor.
"""

import dataclasses
import sys
import types

import keras

from support import small
from vqvae_tf import tasks
from vqvae_tf.runtime import dtype_policies, strategies
from vqvae_tf.tasks import run as training


def main(work, choice):
    strategy = strategies.make_strategy("multiworker")
    dtype_policies.choose = lambda: choice
    config = small.recipe()
    config.dtype_policy = "auto"

    def policy_of_run(config, data_dir, with_prior):
        yield types.SimpleNamespace(carry_out=tell)

    def tell(workdir):
        # Until the chief has noted it.
        strategies.wait_for_all()
        print("policy", keras.config.dtype_policy().name)

    tasks.TASKS["pictures"] = dataclasses.replace(
        tasks.TASKS["pictures"], stages=policy_of_run
    )
    training.copied = lambda model: model
    training.train(config, work, strategy=strategy)


if __name__ == "__main__":
    main(*sys.argv[1:])
