"""Which weights a word means: names of weights, of modules, patterns of names, words of recurrence and attention."""

import re
from fnmatch import fnmatchcase

# The words for the two junctions of a recurrent layer: its inputs to its neurons, and these to themselves.
JUNCTIONS = {"i2h": "weight_ih", "h2h": "weight_hh"}
# The words for the projections of an attention; "in_proj" is what `nn.MultiheadAttention` calls q, k and v in one.
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "out_proj")

# (the attention's own name, what its projections are called); of each spelling the four in the order of `PROJECTIONS`.
_SPELLINGS = [
    (r"(|.*\.)", ("q_proj[._]weight", "k_proj[._]weight", "v_proj[._]weight", r"(?:out|o)_proj\.weight")),
    (r"(|.*\.)", (r"q_lin\.weight", r"k_lin\.weight", r"v_lin\.weight", r"out_lin\.weight")),
    (r"(|.*\.)", (r"to_q\.weight", r"to_k\.weight", r"to_v\.weight", r"to_out(?:\.0)?\.weight")),
    (r"(|.*\.)", (r"wq\.weight", r"wk\.weight", r"wv\.weight", r"wo\.weight")),
    (
        r"(|.*?\.)(?:attention|attn)\.",
        (
            r"(?:self\.|attention\.)?query\.weight",
            r"(?:self\.|attention\.)?key\.weight",
            r"(?:self\.|attention\.)?value\.weight",
            r"output\.dense\.weight",
        ),
    ),
]
_PLACES = [
    (re.compile(r"(|.*\.)in_proj_weight"), "in_proj"),
    *(
        (re.compile(own + each), word)
        for own, each4 in _SPELLINGS
        for each, word in zip(each4, PROJECTIONS, strict=True)
    ),
]


def is_meant(name: str, wish: str) -> bool:
    """Whether a weight is meant, all of it: by its name, that of a module it belongs to, a pattern of names, or a word.

    The words are "i2h" and "h2h" of recurrent layers, and "attention", "q_proj", "k_proj", "v_proj" and "out_proj" of
    attentions, by any of the names that `projection_of` knows. Several joined by colons mean what all of them mean.

    Example:
        >>> [is_meant("encoder.0.weight", wish) for wish in ("encoder.0.weight", "encoder", "enc*", "enc", "0")]
        [True, True, True, False, False]
        >>> [is_meant("encoder.weight_ih_l0", wish) for wish in ("i2h", "h2h", "encoder:i2h", "decoder:i2h")]
        [True, False, True, False]
        >>> [is_meant("layer.0.attention.self.query.weight", wish) for wish in ("attention", "q_proj", "k_proj")]
        [True, True, False]
    """
    if name == wish or name.startswith(f"{wish}.") or fnmatchcase(name, wish):
        return True
    if ":" in wish:
        return all(is_meant(name, word) for word in wish.split(":"))
    if wish in JUNCTIONS:
        return name.rpartition(".")[2].startswith(JUNCTIONS[wish])
    if wish == "attention" or wish in PROJECTIONS:
        place = projection_of(name)
        return place is not None and wish in ("attention", place[1])
    return False


def projection_of(name: str) -> tuple[str, str] | None:
    """The attention that a weight is a projection of, and which: of `PROJECTIONS`, or "in_proj" for q, k, v in one.

    Known are the names of `nn.MultiheadAttention`, and those that linear layers have in Hugging Face models: q_proj,
    k_proj, v_proj with out_proj or o_proj; attention.self.query, key, value with attention.output.dense; q_lin, k_lin,
    v_lin, out_lin; to_q, to_k, to_v, to_out; wq, wk, wv, wo.

    Returns:
        (what its name begins with, the projection); None where it is no projection by its name.

    Example:
        >>> projection_of("layers.0.self_attn.in_proj_weight"), projection_of("h.1.attention.output.dense.weight")
        (('layers.0.self_attn.', 'in_proj'), ('h.1.', 'out_proj'))
        >>> projection_of("h.1.output.dense.weight")
    """
    for form, word in _PLACES:
        if found := form.fullmatch(name):
            return found[1], word
    return None
