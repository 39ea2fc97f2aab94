"""The handwritten digits that come with the package: a real data set that needs no network and no other library."""

from sparsewire.data.images import CLASSES, read_images
from sparsewire.data.samples import DataSet
from sparsewire.data.sources import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, UCI


def digits() -> DataSet:
    """The 1797 handwritten digits of 8 × 8 pixels that scikit-learn also has: 1437 to train with and 360 to test with.

    The split is fixed and stratified: with the samples sorted by label (those of one label in their own order), the
    first, sixth, eleventh, … are the test samples; each part keeps the order of the original file. Thirteen people
    wrote the digits; the split does not separate them, so it says nothing about writers never seen.

    Returns:
        Images float32 (n, 1, 8, 8), value = pixel / 16 in [0, 1]; labels int64, the digit.

    Raises:
        DataError: the installed package is damaged.

    Example:
        >>> digits()
        DataSet('digits', 1,437 + 360 samples of (1, 8, 8), 10 classes)

    Reference:
        E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998,
        doi:10.24432/C50P49; here its test set of 1797, in its order.
    """
    train = read_images(UCI, TRAIN_IMAGES, TRAIN_LABELS, side=8, white=16)
    return DataSet("digits", train, read_images(UCI, TEST_IMAGES, TEST_LABELS, side=8, white=16), CLASSES)
