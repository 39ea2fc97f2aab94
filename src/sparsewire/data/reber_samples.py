"""The Reber data set: strings as tensors of codes, to train with and to test with."""

from typing import Unpack

import torch

from sparsewire.data.reber_codes import Code, encoded
from sparsewire.data.reber_strings import ReberOptions, reber
from sparsewire.data.samples import DataSet, Samples
from sparsewire.structure.blocks import checked_generator, whole


def reber_set(
    train: int = 18_750,
    test: int = 6_250,
    *,
    generator: torch.Generator,
    code: Code = "ascii",
    **options: Unpack[ReberOptions],
) -> DataSet:
    """The Reber data set: strings as rows of codes, label 1 where one is valid and 0 where not.

    `reber(train + test)` in its random order: the first ones are to train with. As in the paper's split, each part has
    about half valid ones, not exactly. All rows are padded with zeros to the longest of the set.

    A recurrent network reads the padding unless it is told where strings end, and **what it reads last is part of the
    result**. `SequenceClassifier(…, symbols=128, padding=0)` reads each string's own last letter last;
    `reads_padding=True` makes it read on, as in the paper, to the end of the longest string of the batch: a simple cell
    must then carry its answer through up to 40 zeros, and the answer depends on which strings are in the batch.
    `packed(inputs)` is the same without padding for torch's layers.

    Args:
        train: strings to train with, at least 1.
        test: strings to test with, at least 1.
        generator: what all is drawn from. Its device is where the tensors are.
        code: "ascii" (the paper's, 128 symbols) or "compact" (27 symbols, or 8 without foreign letters).
        options: as in `reber`: `false`, `embedded`, `edits`, `shortest`, `longest`.

    Returns:
        Codes int64 (n, letters of the longest string); labels int64 (n,), 0 or 1; 2 classes.

    Raises:
        RequestError: as `reber`.
        UnknownNameError: there is no such code or kind of false strings.

    Example:
        >>> data = reber_set(750, 250, longest=30, generator=torch.Generator().manual_seed(0))
        >>> data, data.train.inputs[0, :3], int(data.train.labels.sum() + data.test.labels.sum())
        (DataSet('reber', 750 + 250 samples of (30,), 2 classes), tensor([66, 65, 68]), 500)

    Reference:
        Stier, Darji, Granitzer (2021), section 4.2: 25,000 strings, 18,750 of them to train with.
    """
    whole("train", train, least=1)
    whole("test", test, least=1)
    strings, valid = reber(train + test, generator=generator, **options)
    device = checked_generator(generator).device
    samples = Samples(encoded(strings, code=code).to(device), valid.long().to(device))
    return DataSet("embedded_reber" if options.get("embedded") else "reber", *samples.split(train), 2)
