"""A stream of Morse frames that never repeats: made while one trains, in no memory to speak of."""

from collections.abc import Iterator, Mapping
from typing import Any, Unpack

import torch

from sparsewire.data.morse_code import frames_of
from sparsewire.data.morse_form import MorseForm, MorseOptions
from sparsewire.data.morse_symbols import CLASSES
from sparsewire.data.samples import Samples
from sparsewire.errors import RequestError
from sparsewire.structure.blocks import checked_generator, whole

_SEEDS = 1 << 32  # a generator on the CPU tells no more seeds apart


class MorseStream:
    """Batches of Morse frames for `fit` and `for` loops, every one new: the second pass goes on where the first ended.

    The classes of a batch are drawn uniformly. Batch k is drawn from a generator of its own, seeded with a number that
    is drawn from `generator` once, plus k (modulo 2³²): so it is the same wherever and whenever it is made, and a loop
    that stopped goes on with `load_state_dict`. `fit` with `checkpoints` takes data in tensors only: `morse_set`.

    Args:
        batch_size: frames in a batch, at least 1.
        batches: batches in a pass, at least 1; 2500 of 128 frames are as many as the paper's training frames.
        generator: what the seed is drawn from, one number.
        options: as in `morse`.

    Raises:
        RequestError: a count or an option is impossible.

    Example:
        >>> stream = MorseStream(32, batches=3, generator=torch.Generator().manual_seed(0))
        >>> first, second = (torch.stack([frames for frames, labels in stream]) for _ in range(2))
        >>> first.shape, stream.drawn, torch.equal(first, second), torch.equal(first[2], stream.batch(2).inputs)
        (torch.Size([3, 32, 64]), 6, False, True)
    """

    def __init__(
        self,
        batch_size: int = 128,
        *,
        batches: int = 2500,
        generator: torch.Generator,
        **options: Unpack[MorseOptions],
    ) -> None:
        self._size = whole("batch_size", batch_size, least=1)
        self._batches = whole("batches", batches, least=1)
        self._form = MorseForm.of(options)
        self._device = checked_generator(generator).device
        self._seed = int(torch.randint(_SEEDS, (), generator=generator, device=self._device))
        self._drawn = 0

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[Samples]:
        for _ in range(self._batches):
            self._drawn += 1
            yield self.batch(self._drawn - 1)

    @property
    def drawn(self) -> int:
        """How many batches it has given out, in all passes."""
        return self._drawn

    def batch(self, index: int) -> Samples:
        """The batch of this index, counted from 0 through all passes; the stream stays where it is.

        Returns:
            Frames float32 (batch_size, frame · dilation) and labels int64 (batch_size,).
        """
        seed = (self._seed + whole("index", index, least=0)) % _SEEDS
        generator = torch.Generator(self._device).manual_seed(seed)
        labels = torch.randint(CLASSES, (self._size,), generator=generator, device=self._device)
        return frames_of(labels, self._form, generator=generator)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on from here."""
        return {"seed": self._seed, "drawn": self._drawn}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Goes on where the stream was of which this is the state.

        Raises:
            RequestError: it is no such state.

        Example:
            >>> stream = MorseStream(2, batches=1, generator=torch.Generator().manual_seed(0))
            >>> for _ in stream:
            ...     state = stream.state_dict()
            >>> other = MorseStream(2, batches=1, generator=torch.Generator().manual_seed(5))
            >>> other.load_state_dict(state)
            >>> torch.equal(next(iter(other)).inputs, next(iter(stream)).inputs)
            True
        """
        if set(state_dict) != {"seed", "drawn"}:
            raise RequestError(f"state_dict: found the entries {sorted(map(str, state_dict))}, expected drawn and seed")
        seed, drawn = (whole(f"state_dict[{name!r}]", state_dict[name], least=0) for name in ("seed", "drawn"))
        self._seed, self._drawn = seed, drawn
