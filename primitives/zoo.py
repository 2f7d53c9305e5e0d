"""Published distillers, each a formula: to train with, to start a search from, to compare with.

Papers add the losses of the pyramid levels up, a formula takes their mean: the scale in front of a
tree is the paper's weight times the five levels of its detectors (four where DetKDS takes the means
of four). Where a paper takes a mean that ours does not, or the other way round, the scale carries
that factor too. PKD, FGD, MGD, LD and CrossKD were read beside their releases (open-mmlab/mmrazor
2ce36c4, yzd-v/FGD c03a6cf, yzd-v/MGD 2c9da0b, HikariTJU/LD 258b2a1, jbwang1997/CrossKD 87e156a),
which the published APs come from.
"""

from detkds_gp.language import Published, Zoo

LEVELS = 5


def _scaled(scale: float, tree: str) -> str:
    """Write a term that stands for the published one at weight 1."""
    return f"1 * {scale:.6g} * {tree}"


MIMIC = "l2(global)"
PKD = "l2(standardize_channel(global))"
CWD = "kl(softmax_space(global, 1))"
LD = "weighted_kl(softmax_row(box_bins, 10), valuable_boxes)"
BCKD = "weighted_binary_kl(units(class_logits, 1))"
CROSSKD = "weighted_binary_kl(units(cross_logits, 1))"
MASKED = "l1(unit_channel(shared_mask({}, 0.35)))"
DETKDS_GLOBAL = "l1(unit_channel(max_pool_2(channel_attention(global, 0.5))))"


def _mgd(kept: float) -> str:
    return f"l2_sum(masked_generation(global, {kept}))"


def _fgd(attention: float, context: float, temperature: float = 0.5) -> str:
    """Write FGD's tree relative to its foreground term."""
    focal = [
        f"l2_sum(weighted(weighted(weighted(global, {mask}), teacher_spatial_attention(global, {temperature})), "
        f"teacher_channel_attention(global, {temperature})))"
        for mask in ("foreground_mask", "background_mask")
    ]
    both = ", ".join(f"l1_sum({kind}_attention_map(global, {temperature}))" for kind in ("spatial", "channel"))
    rest = f"add(scaled(add({both}), {attention}), scaled(l2_sum(global_context(global)), {context}))"
    return f"add({focal[0]}, add(scaled({focal[1]}, 0.5), {rest}))"


def _both(tree: str) -> str:
    """Write DetKDS's term on foreground and, at half the weight, background."""
    return f"add({tree.format('foreground')}, scaled({tree.format('background')}, 0.5))"


CONTEXT_NOTE = "both sides' context blocks start alike, the release draws them apart"
NORM_NOTE = "the neck's output, where the release takes RepPoints' maps before their group norm"
P6_NOTE = "P6 counts too, which the release leaves out"
CHANNEL_NOTE = "unit vectors of the channels in place of a norm over the batch, which mixes images"
MASKED_NOTE = "maps are multiplied by the root of FGD's masks, not by the masks"

ZOO = Zoo(
    Published(
        "mimic",
        _scaled(LEVELS / 2, MIMIC),
        "FitNets (ICLR 2015), eq. 3",
        "half the squared difference, weight 1; times 5 levels",
        "a mean over the map where the paper adds up; the layer that brings channels together is a 1x1 adapter",
    ),
    Published(
        "pkd",
        _scaled(10 * LEVELS / 2, PKD),
        "PKD (NeurIPS 2022), sec. 3.2",
        "10 for one-stage detectors; half the mean square is 1 - r; times 5 levels",
        "P7 counts too, which its release leaves out",
        stages="one",
    ),
    Published(
        "pkd_two_stage",
        _scaled(6 * LEVELS / 2, PKD),
        "PKD (NeurIPS 2022), sec. 3.2",
        "6 for two-stage detectors; half the mean square is 1 - r; times 5 levels",
        P6_NOTE,
        stages="two",
    ),
    Published(
        "cwd",
        _scaled(10 * LEVELS, CWD),
        "CWD (ICCV 2021), eq. 4 and 5",
        "temperature 1; 10 on every level in mmrazor's detectors; times 5 levels",
    ),
    Published(
        "fgd",
        _scaled(1e-3 * LEVELS, _fgd(0.5, 0.005)),
        "FGD (CVPR 2022), sec. 3",
        "RetinaNet, GFL and SOLO: alpha 1e-3, beta 5e-4, gamma 5e-4, lambda 5e-6, T 0.5; times 5 levels",
        CONTEXT_NOTE,
        stages="one",
    ),
    Published(
        "fgd_anchor_free",
        _scaled(1.6e-3 * LEVELS, _fgd(0.5, 0.005)),
        "FGD (CVPR 2022), sec. 3",
        "RepPoints: alpha 1.6e-3, beta 8e-4, gamma 8e-4, lambda 8e-6, T 0.5; times 5 levels",
        f"{CONTEXT_NOTE}; {NORM_NOTE}",
        stages="one",
    ),
    Published(
        "fgd_fcos",
        _scaled(1.6e-3 * LEVELS, _fgd(0.5, 0.005, 0.8)),
        "FGD (CVPR 2022), sec. 3",
        "FCOS: alpha 1.6e-3, beta 8e-4, gamma 8e-4, lambda 8e-6, T 0.8; times 5 levels",
        CONTEXT_NOTE,
        stages="one",
    ),
    Published(
        "fgd_two_stage",
        _scaled(5e-5 * LEVELS, _fgd(1, 0.01)),
        "FGD (CVPR 2022), sec. 3",
        "Faster and Mask R-CNN: alpha 5e-5, beta 2.5e-5, gamma 5e-5, lambda 5e-7, T 0.5; times 5 levels",
        f"{CONTEXT_NOTE}; {P6_NOTE}",
        stages="two",
    ),
    Published(
        "mgd",
        _scaled(2e-5 * LEVELS, _mgd(0.35)),
        "MGD (ECCV 2022), sec. 3",
        "RetinaNet, RepPoints and SOLO: alpha 2e-5, 65% of the positions masked; times 5 levels",
        NORM_NOTE,
        stages="one",
    ),
    Published(
        "mgd_two_stage",
        _scaled(5e-7 * LEVELS, _mgd(0.55)),
        "MGD (ECCV 2022), sec. 3",
        "Faster and Mask R-CNN: alpha 5e-7, 45% of the positions masked; times 5 levels",
        P6_NOTE,
        stages="two",
    ),
    Published(
        "ld",
        _scaled(0.25 * 10**2 / 17, LD),
        "LD (CVPR 2022), sec. 3 and algorithm 1",
        "0.25 at T = 10; times T^2, over the 17 bins that its released loss averages",
        "the distribution part alone of a release that also distils classes and imitates features; a mean over the "
        "boxes of both regions alike and over levels, where the release adds up the positive boxes, weighed by the "
        "student's score, and the valuable ones at a quarter, and divides by nothing: smaller by as many as a batch "
        "has",
    ),
    Published(
        "bckd",
        _scaled(LEVELS, BCKD),
        "BCKD (ICCV 2023), eq. 3",
        "1 for classification; times 5 levels",
        "without its IoU term of weight 4; averaged over locations; a divergence where the paper has a cross entropy: "
        "it differs by the teacher's own entropy",
        stages="one",
    ),
    Published(
        "crosskd",
        _scaled(1, CROSSKD),
        "CrossKD (CVPR 2024), sec. 3",
        "weight 1 for classification (FCOS: 0.4)",
        "a mean over a level's locations and over levels, where the release divides the sum of all by the positive "
        "boxes; the teacher's whole head reads the student's neck, not its last convolution the student's third; "
        "without its box and centerness terms; a divergence where the paper has a cross entropy: it differs by the "
        "teacher's own entropy",
        stages="one",
    ),
    Published(
        "detkds_retinanet_r101",
        _scaled(6 * LEVELS, DETKDS_GLOBAL) + " + " + _scaled(2 * LEVELS, _both("l1(unit_row(patches_4({})))")),
        "DetKDS (ICML 2024), RetinaNet R101 to R50",
        "global 6, foreground 2, background 1; times 5 levels",
        f"{CHANNEL_NOTE}; {MASKED_NOTE}",
        stages="one",
    ),
    Published(
        "detkds_retinanet_x101",
        _scaled(50 * LEVELS, "l1(unit_channel(channel_attention(instance, 0.5)))"),
        "DetKDS (ICML 2024), RetinaNet X101 to R50",
        "instance 50; times 5 levels",
        "objects are taken from the level of their size, not from every level, and attention and norm act on them",
        stages="one",
    ),
    Published(
        "detkds_fcos",
        _scaled(5 * LEVELS, DETKDS_GLOBAL) + " + " + _scaled(2 * LEVELS, _both(MASKED)),
        "DetKDS (ICML 2024), FCOS R101 to R50",
        "global 5, foreground 2, background 1; times 5 levels",
        f"{CHANNEL_NOTE}; {MASKED_NOTE}; one draw of the random mask for both sides",
        stages="one",
    ),
    Published(
        "detkds_gfl",
        _scaled(10 * LEVELS, DETKDS_GLOBAL),
        "DetKDS (ICML 2024), GFL R101 to R50 and RepPoints X101 to R50",
        "global 10; times 5 levels",
        CHANNEL_NOTE,
        stages="one",
    ),
    Published(
        "detkds_faster_rcnn",
        " + ".join(
            [
                _scaled(2 * 4, DETKDS_GLOBAL),
                _scaled(2 * 4, _both(MASKED)),
                _scaled(0.1 * 4, "pearson(unit_channel(shared_mask(instance, 0.35)))"),
                _scaled(0.1 * 4, "pearson(probabilities(softmax_row(class_logits, 1)))"),
            ]
        ),
        "DetKDS (ICML 2024), Faster R-CNN R101 to R50",
        "global 2, foreground 2, background 1, instance 0.1, logits 0.1; times the 4 levels it takes",
        f"{CHANNEL_NOTE}; {MASKED_NOTE}; one draw of the random mask for both sides; the logits are not squashed twice",
        stages="two",
    ),
    Published(
        "detkds_cascade",
        _scaled(5e-7 * LEVELS, "l1_sum(masked_generation(global, 0.55))"),
        "DetKDS (ICML 2024), Cascade Mask R-CNN X101 to Faster R-CNN R50",
        "MGD's 5e-7 with an l1 distance, 45% of the positions masked; times 5 levels",
        f"a sum per image as in MGD, which the weight was made for; {P6_NOTE}",
        stages="two",
    ),
    recommended=Published(
        "recommended",
        " + ".join(
            [
                f"74 * calibrated * {PKD}",
                "130 * calibrated * pearson(foreground)",
                "28 * calibrated * pearson(standardize_row(patches_4(instance)))",
                "0.13 * calibrated * pearson(patches_4(class_map))",
                "0.35 * calibrated * weighted_giou(boxes, valuable_boxes)",
            ]
        ),
        "not published: an hour's search on blood cells, RetinaNet to RetinaNet",
        "of that search, in units of measured scales",
    ),
)
"""Every published distiller that the language holds, and one that a search found."""
