"""What a dense layer of a converted model remembers about its masks.

Its weights are zero outside the mask, so the mask is where they are not, but for kept weights that are zero by
themselves: of those alone a note is made, one bit a weight, and only where there are any. A pattern that changes in
training shows in the weights, so the note does not go stale with it. The note is a plain attribute of the module: it
goes with copies and pickles, and changes neither parameters, nor buffers, nor the `state_dict`.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from sparsewire.structure.masks import Masks

_NOTE = "_sparsewire_kept"


def remember_mask_(module: nn.Module, name: str, mask: Tensor) -> None:
    """Notes that one of the module's own parameters has this mask; the weights must be zero outside it.

    Args:
        module: that holds the parameter itself.
        name: of the parameter, without dots.
        mask: bool, of its shape.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> _ = layer.weight.data.copy_(torch.tensor([[0.0, 3.0]]))
        >>> remember_mask_(layer, "weight", torch.tensor([[True, True]]))
        >>> remembered_masks(layer)
        {'weight': tensor([[True, True]])}
    """
    weight = module.get_parameter(name)
    kept_zeros = (mask.to(weight.device) & (weight.detach() == 0)).reshape(-1)
    bits = np.packbits(kept_zeros.cpu().numpy()) if not weight.is_meta and kept_zeros.any() else np.empty(0, np.uint8)
    # A new mapping: a shallow copy of the module has the old one too.
    module.__dict__[_NOTE] = {**module.__dict__.get(_NOTE, {}), name: torch.from_numpy(bits)}


def remembered_masks(module: nn.Module) -> Mapping[str, Tensor]:
    """Own parameter name → mask, of those parameters of which one was noted: not zero now, or a kept zero then."""
    notes: Mapping[str, Tensor] = module.__dict__.get(_NOTE, {})
    masks = {}
    for name, bits in notes.items():
        weight = module.get_parameter(name).detach()
        masks[name] = weight != 0
        if len(bits):
            kept = torch.from_numpy(np.unpackbits(bits.numpy(), count=weight.numel()).astype(bool))
            masks[name] = masks[name] | kept.view(weight.shape).to(weight.device)
    return masks


def masks_left(model: nn.Module) -> Masks:
    """The masks of the dense layers of a converted model, by parameter name; none where nothing was noted.

    Example:
        >>> from sparsewire.execution.convert import sparsify
        >>> masks = {"weight": torch.tensor([[True, False]])}
        >>> masks_left(sparsify(nn.Linear(2, 1), masks, "dense")) == Masks(masks), len(masks_left(nn.Linear(2, 1)))
        (True, 0)
    """
    return Masks(
        {
            f"{home}.{name}" if home else name: mask
            for home, module in model.named_modules()
            for name, mask in remembered_masks(module).items()
        }
    )


def forget_masks_(module: nn.Module) -> None:
    """Removes the notes of this module, if there are any."""
    module.__dict__.pop(_NOTE, None)
