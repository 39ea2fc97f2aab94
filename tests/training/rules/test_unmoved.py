from tests.training.rules.small_training import sparse, train

from sparsewire.training.rules import static


def test_static_leaves_the_masks():
    model, optimizer = sparse(static(), 0.3)
    masks = optimizer.masks
    train(model, optimizer, 5)
    assert optimizer.masks == masks
