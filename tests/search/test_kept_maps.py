import pytest
from tests.search.genomes import labelled

from sparsewire.search.kept_maps import kept_bytes
from sparsewire.search.shaping import read_shapes, shapes

# Images of 1 × 8 × 8. A map of 2 × 8 × 8 has 512 bytes, of 2 × 4 × 4 128; places of its maxima have 256.
BY_HAND = {
    "the convolution's and ReLU's results": (labelled("conv3:2"), (1024,)),
    "the image's maxima, which are convolved": (labelled("max_pool conv3:2", (0, 1)), (64, 256)),
    "the image's means, which are only classified": (labelled("avg_pool"), (0,)),
    "places of maxima": (labelled("conv3:2 max_pool", (0, 1)), (1024, 256)),
    "nothing for skips": (labelled("conv3:2 skip skip", (0, 1), (1, 2)), (1024, 0, 0)),
    "one tensor for two readers": (labelled("conv3:2 conv3:2 conv3:2", (0, 1), (0, 2)), (1024, 1024, 1024)),
    "nothing for a sum that is classified": (labelled("conv3:2 conv3:2 sum", (0, 2), (1, 2)), (1024, 1024, 0)),
    "a sum that is convolved": (
        labelled("conv3:2 conv3:2 sum conv3:2", (0, 2), (1, 2), (2, 3)),
        (1024, 1024, 512, 1024),
    ),
    "a stack that is convolved": (labelled("conv3:2 conv3:2 conv3:2", (0, 2), (1, 2)), (1024, 1024, 2048)),
    "places of maxima before a stack": (
        labelled("conv3:2 avg_pool concat", (0, 1), (0, 2), (1, 2)),
        (1024, 0, 256),
    ),
    "what a projection reads": (labelled("avg_pool conv3:2 sum", (0, 2), (1, 2)), (64, 1024, 0)),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_what_is_kept_by_hand(case):
    genome, expected = BY_HAND[case]
    assert kept_bytes(genome, shapes(genome, (1, 8, 8)), read_shapes(genome, (1, 8, 8))) == expected
