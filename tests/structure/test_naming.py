import pytest

from sparsewire.structure.naming import is_meant, projection_of


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("in_proj_weight", ("", "in_proj")),
        ("layers.0.self_attn.in_proj_weight", ("layers.0.self_attn.", "in_proj")),
        ("a.q_proj_weight", ("a.", "q_proj")),
        ("a.out_proj.weight", ("a.", "out_proj")),
        ("model.layers.3.self_attn.v_proj.weight", ("model.layers.3.self_attn.", "v_proj")),
        ("model.layers.3.self_attn.o_proj.weight", ("model.layers.3.self_attn.", "out_proj")),
        ("bert.encoder.layer.0.attention.self.query.weight", ("bert.encoder.layer.0.", "q_proj")),
        ("bert.encoder.layer.0.attention.output.dense.weight", ("bert.encoder.layer.0.", "out_proj")),
        ("vit.layer.0.attention.attention.key.weight", ("vit.layer.0.", "k_proj")),
        ("vit.layer.0.attention.output.dense.weight", ("vit.layer.0.", "out_proj")),
        ("transformer.layer.1.attention.out_lin.weight", ("transformer.layer.1.attention.", "out_proj")),
        ("block.to_out.0.weight", ("block.", "out_proj")),
        ("wk.weight", ("", "k_proj")),
        ("bert.encoder.layer.0.output.dense.weight", None),
        ("query.weight", None),
        ("0.weight", None),
        ("a.in_proj_bias", None),
        ("some_q_proj.weight", None),
    ],
)
def test_projections_of_attentions(name, place):
    assert projection_of(name) == place
    assert is_meant(name, "attention") == (place is not None)
    for word in ("q_proj", "k_proj", "v_proj", "out_proj"):
        assert is_meant(name, f"attention:{word}") == (place is not None and place[1] == word)


@pytest.mark.parametrize(
    ("wish", "meant"),
    [
        ("rnn:i2h", True),
        ("rnn:h2h", False),
        ("other:i2h", False),
        ("*_l1:i2h", True),
        ("rnn:i2h:*_l1", True),
        ("rnn:i2h:*_l0", False),
        ("rnn:", False),
        (":", False),
        ("gate", False),  # a word for rows only, and so a module's name here
    ],
)
def test_colons_join_what_all_must_mean(wish, meant):
    assert is_meant("rnn.weight_ih_l1", wish) == meant
