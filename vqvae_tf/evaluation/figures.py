"""Which figures there are: their titles, forms and tolerances."""

import math

from vqvae_tf.tasks.pictures import autoencoders as family_cards

# What comes before the figures of each decoder of speech, and how to say it.
_SPEECH_DECODERS = (("", ""), ("fast_", " by the fast decoder"))

# The figures of a card: title, format, and the absolute difference that still
# agrees. On another machine sums in another order move a code now and then; one
# in 300 moved changes vqvae_photo128's figures by less than half of these.
FIGURES = {
    "psnr": ("PSNR, pooled over pixels (dB)", "{:.2f}", 0.02),
    "mse": ("mean squared error, squared levels", "{:.1f}", 1.0),
    "nmse": ("mean squared error / variance of the data", "{:.4f}", 1e-4),
    "ssim": ("SSIM, mean of pictures", "{:.4f}", 1e-3),
    "perplexity": ("perplexity over all codes", "{:.1f}", 0.5),
    "usage": ("usage (share of codes used)", "{:.3f}", 2e-3),
    "reconstruction_bits_per_dim": (
        "-log2 p(x given codes), bits/dim",
        "{:.4f}",
        2e-3,
    ),
    "bits_per_dim_uniform": (
        "bound with a uniform prior, bits/dim",
        "{:.4f}",
        2e-3,
    ),
    "unigram_bits_per_code": (
        "unigram of the training codes, bits/code",
        "{:.3f}",
        3e-3,
    ),
    "prior_bits_per_code": ("the prior, bits/code", "{:.3f}", 3e-3),
    "prior_bits_per_dim": ("the prior, bits/dim", "{:.4f}", 2e-4),
    "bits_per_dim": ("bound with the prior, bits/dim", "{:.4f}", 2e-3),
    "bits_per_dim_error": (
        "half of the bound's 95 % interval over examples, bits/dim",
        "{:.4f}",
        1e-3,
    ),
    # Of the sum over neighbouring codes.
    "neighbour_pictures": (
        "pictures of which neighbouring codes were added",
        "{:.0f}",
        0.5,
    ),
    "neighbour_gain": (
        "what that adds to their bound, bits/dim",
        "{:.6f}",
        2e-5,
    ),
    "neighbour_gain_uniform": (
        "the same with a uniform prior, bits/dim",
        "{:.6f}",
        2e-5,
    ),
    # Of the importance-weighted bound.
    "bound_samples": ("S, draws of the tighter bound", "{:.0f}", 0.5),
    "bits_per_dim_S": ("bound of S draws, bits/dim", "{:.4f}", 2e-3),
    "bits_per_dim_S_error": (
        "half of its 95 % interval over examples, bits/dim",
        "{:.4f}",
        1e-3,
    ),
    "nats": ("bound of S draws, nats an example", "{:.2f}", 0.2),
    "nats_error": (
        "half of its 95 % interval over examples, nats",
        "{:.2f}",
        0.05,
    ),
    # What the members of the family are there for.
    "corrupted_psnr": ("PSNR of the corrupted input (dB)", "{:.2f}", 0.02),
    "denoised_psnr": ("PSNR of what is made of it (dB)", "{:.2f}", 0.02),
    "mean_activation": ("mean activation of a unit", "{:.4f}", 5e-4),
    "near_rho": (
        "units whose mean is within 20 % of rho, share",
        "{:.3f}",
        5e-3,
    ),
    "active_in_training": ("units kept in training", "{:.0f}", 0.5),
    "active": ("units kept", "{:.0f}", 0.5),
    "contraction": (
        "norm of dz/dx over sqrt(tr Cov z), root of mean square",
        "{:.4f}",
        1e-3,
    ),
    "mig": (
        "mutual information gap, of latents and factors",
        "{:.3f}",
        5e-3,
    ),
    # Of a second stage.
    "map_bits": ("the code map given its global codes, bits", "{:.1f}", 2.0),
    "map_bits_swapped": (
        "the code map given another frame's global codes, bits",
        "{:.1f}",
        4.0,
    ),
    "infonce_bits": (
        "InfoNCE bound of the information in the global codes, bits",
        "{:.2f}",
        0.05,
    ),
    "global_prior_bits": ("the prior of the global codes, bits", "{:.2f}", 0.1),
    "two_level_bits": ("code map and global codes, bits", "{:.1f}", 2.0),
    "global_usage": (
        "usage of each global codebook over the training set, least",
        "{:.3f}",
        5e-3,
    ),
    "global_psnr": ("PSNR of frames from global codes (dB)", "{:.2f}", 0.1),
    # Of video.
    "next_frame_bits": ("the next code map, bits", "{:.1f}", 2.0),
    "next_frame_bits_wrong": (
        "the next code map given a wrong action, mean of all, bits",
        "{:.1f}",
        3.0,
    ),
    "next_frame_bits_unknown": (
        "the next code map without its action, bits",
        "{:.1f}",
        2.0,
    ),
    "repeat_psnr": (
        "PSNR of repeating the last frame, steps 1 to 10, mean (dB)",
        "{:.2f}",
        0.05,
    ),
    "greedy_psnr": ("PSNR of greedy rollouts, the same (dB)", "{:.2f}", 0.1),
    "mean_psnr": (
        "PSNR of the mean of 8 rollouts, the same (dB)",
        "{:.2f}",
        0.1,
    ),
    "clips": ("clips of rollouts", "{:.0f}", 0.5),
    # Of speech. What is drawn depends on rounding: one level that moves
    # changes all that come after it.
    "codes_per_second": ("codes a second", "{:.1f}", 0.1),
    "code_bits_per_second": ("the same in bits, log2 K each", "{:.0f}", 1.0),
    "level_bits_per_second": (
        "bits a second of the waveform's levels",
        "{:.0f}",
        1.0,
    ),
    "uniform_bits_per_code": ("log2 K, bits/code", "{:.3f}", 1e-3),
    "reconstruction_bits_per_sample": (
        "-log2 p(x given codes and speaker), bits/sample",
        "{:.4f}",
        2e-3,
    ),
    "other_speaker_bits_per_sample": (
        "the same given another speaker, mean of at most four, bits/sample",
        "{:.4f}",
        4e-3,
    ),
    "shuffled_bits_per_sample": (
        "the same given the codes in random order, bits/sample",
        "{:.4f}",
        1e-2,
    ),
    "other_codes_bits_per_sample": (
        "the same given another recording's codes, bits/sample",
        "{:.4f}",
        1e-2,
    ),
    "speaker_by_likelihood": (
        "recordings more probable given their own speaker, share",
        "{:.3f}",
        1e-2,
    ),
    **{
        f"{decoder}log_spectral_distance": (
            f"log-spectral distance of reconstructions{how} (dB)",
            "{:.2f}",
            0.1,
        )
        for decoder, how in _SPEECH_DECODERS
    },
    **{
        f"{decoder}{prefix}{target}_accuracy{least}": (
            f"{what}{how}: {right}{among}, by the judge",
            "{:.3f}",
            0.05 if prefix else 0.01,
        )
        for decoder, how in _SPEECH_DECODERS
        for prefix, what in (
            ("", "originals"),
            ("reconstructed_", "reconstructions"),
            ("converted_", "conversions to each other speaker"),
        )
        for target, right in (
            ("class", "class is right"),
            ("speaker", "speaker is right"),
        )
        for least, among in (("", ""), ("_least", ", least of the targets"))
        if (prefix or not decoder) and (prefix == "converted_" or not least)
    },
    "class_confidence": (
        "the judge's confidence in the class, originals",
        "{:.3f}",
        0.01,
    ),
    "sampled_class_confidence": ("the same, samples", "{:.3f}", 0.05),
    "sampled_classes": (
        "classes that the judge hears in samples, perplexity",
        "{:.2f}",
        0.5,
    ),
    "sampled_speaker_accuracy": (
        "samples: speaker is the one told, by the judge",
        "{:.3f}",
        0.1,
    ),
    # Of probes of sequences, the means of three.
    **{
        f"probe_{target}_{given}": (
            f"probe of the {target} from {words}, accuracy",
            "{:.3f}",
            0.03,
        )
        for target in ("class", "speaker")
        for given, words in (
            ("codes", "codes alone"),
            ("mels", "log-mel frames at their rate"),
            ("majority", "nothing: always the most frequent"),
        )
    },
}

# What the first cards do not have.
_LATER_FIGURES = {
    "bits_per_dim_error",
    "neighbour_gain_uniform",
    "bits_per_dim_S_error",
    "nats_error",
    *(name for name in FIGURES if name.startswith("fast_")),
}


def compare(measured: dict, expected: dict) -> list[str]:
    """Lists the figures that do not agree within their tolerance.

    Args:
        measured, expected: figures of `measure`. One that only one of them
            has is a difference; without a prior its figures are in neither.
            An interval that a card of before lacks is none.

    Returns:
        A line of text for each difference.
    """
    differences = []
    for name, (_, form, tolerance) in FIGURES.items():
        a, b = measured.get(name), expected.get(name)
        if b is None and name in _LATER_FIGURES:
            continue
        if not _agree(a, b, tolerance):
            words = title(name, {**expected, **measured})
            a, b = (_text(form, value) for value in (a, b))
            differences.append(f"{words}: measured {a}, the card says {b}")
    return differences


def _agree(a, b, tolerance):
    if a is None or b is None:
        return a is b
    # Not abs(a - b): the PSNR of a perfect reconstruction is infinite.
    return math.isclose(a, b, rel_tol=0.0, abs_tol=tolerance)


def _text(form, value):
    return "nothing" if value is None else form.format(value)


def table(figures: dict) -> list[tuple[str, str]]:
    """Returns (title, value) rows of the known figures.

    After a figure that is a mean over speakers, `NAME`, come those of each
    speaker, `NAME_to_SPEAKER`.
    """
    rows = []
    for name, (_, form, _) in FIGURES.items():
        if name not in figures:
            continue
        rows.append((title(name, figures), form.format(figures[name])))
        prefix = f"{name}_to_"
        rows += [
            (f"the same, to {other.removeprefix(prefix)}", form.format(value))
            for other, value in sorted(figures.items())
            if other.startswith(prefix)
        ]
    return rows


def title(name, figures) -> str:
    """Returns the title of a figure.

    Args:
        name: one of `FIGURES`.
        figures: those of the same model, which say whether it has codes.
    """
    words = FIGURES[name][0]
    # Codes are used, or not; other latents are no codes.
    return words if "usage" in figures else family_cards.TITLES.get(name, words)
