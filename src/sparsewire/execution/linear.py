"""The sparse linear layer."""

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError
from sparsewire.execution.sparse_module import SparseModule
from sparsewire.kernels import products


class SparseLinear(SparseModule):
    """y = x Wᵀ + b that stores, computes and differentiates the weights inside the mask only.

    Takes the place of `torch.nn.Linear`. `weight` is a 1-D Parameter of the live values, in the order of
    `junction("weight")`; `dense_weight("weight")` shows the matrix.

    A fresh layer draws weights and bias of output i from U(−1/√nᵢ, 1/√nᵢ) with nᵢ the number of its *live* inputs:
    torch.nn.Linear's own bound (He's with gain 1/√3), by live fan-in instead of all inputs, so that the scale of the
    outputs does not shrink with the density. An output without inputs gets the bias 0.

    Args:
        in_features: inputs.
        out_features: outputs.
        mask: bool, shape (out_features, in_features), True where a weight exists.
        bias: whether there is one.
        device: where the values are; None: torch's default.
        dtype: of the values; None: torch's default.
        generator: of the values; None: torch's own, as in torch.nn.Linear.

    Raises:
        RequestError: the mask is no bool tensor of that shape.

    Example:
        >>> layer = SparseLinear(4, 2, torch.eye(2, 4, dtype=torch.bool))
        >>> layer, layer(torch.ones(3, 4)).shape
        (SparseLinear(in_features=4, out_features=2, bias=True, density=0.25), torch.Size([3, 2]))
    """

    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        mask: Tensor,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if isinstance(mask, Tensor) and tuple(mask.shape) != (out_features, in_features):
            raise RequestError(
                f"mask: found shape {tuple(mask.shape)}, expected ({out_features}, {in_features}), outputs × inputs"
            )
        self.in_features, self.out_features = in_features, out_features
        self.register_sparse("weight", mask, device=device, dtype=dtype)
        made = nn.Parameter(torch.zeros(out_features, device=device, dtype=dtype)) if bias else None
        self.register_parameter("bias", made)
        self.reset_parameters(generator)

    @classmethod
    def from_dense(cls, linear: nn.Linear, mask: Tensor) -> "SparseLinear":
        """The same layer with the weights inside the mask: same dtype, device, training mode and requires_grad.

        Raises:
            RequestError: no torch.nn.Linear, or the mask is not of its weight's shape.

        Example:
            >>> dense = nn.Linear(2, 1)
            >>> sparse = SparseLinear.from_dense(dense, torch.tensor([[False, True]]))
            >>> sparse.weight.item() == dense.weight[0, 1].item()
            True
        """
        if not isinstance(linear, nn.Linear):
            raise RequestError(f"linear: found {type(linear).__name__}, expected torch.nn.Linear")
        layer = cls.__new__(cls)
        SparseModule.__init__(layer)
        layer.in_features, layer.out_features = linear.in_features, linear.out_features
        layer.register_sparse("weight", mask, linear.weight)
        layer.register_copy("bias", linear.bias)
        return layer.train(linear.training)

    def to_dense(self) -> nn.Linear:
        """The torch.nn.Linear with the same weights, and exact zeros where none exist.

        Example:
            >>> SparseLinear(2, 1, torch.tensor([[False, True]])).to_dense().weight[0, 0].item()
            0.0
        """
        linear = nn.Linear(1, 1, bias=False, device="meta")  # draws no numbers
        linear.in_features, linear.out_features = self.in_features, self.out_features
        linear.weight = nn.Parameter(self.dense_weight("weight"), requires_grad=self.weight.requires_grad)
        linear.bias = self.copy_of("bias")  # type: ignore[assignment]  # torch's type leaves out None
        return linear.train(self.training)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draws weights and bias anew from U(−1/√nᵢ, 1/√nᵢ) for each output i with nᵢ live inputs."""
        draw_by_live_fan_in_(self, generator)

    def forward(self, x: Tensor) -> Tensor:
        """The result x Wᵀ + b, of shape (…, out_features), for x of shape (…, in_features)."""
        y = products.linear(x, self.weight, self.bias, self.junction("weight"))
        return self.watch_dense_gradient("weight", x, y) if self.wants_dense_gradients else y

    def extra_repr(self) -> str:
        """The arguments, and the density."""
        density = self.junction("weight").density
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}, "
            f"density={density:.4g}"
        )


@torch.no_grad()
def draw_by_live_fan_in_(layer: SparseModule, generator: torch.Generator | None) -> None:
    """Draws `weight` and `bias` of a layer from U(−1/√nᵢ, 1/√nᵢ) for each output i with nᵢ live weights.

    Example:
        >>> layer = SparseLinear(3, 1, torch.tensor([[True, False, False]]))
        >>> draw_by_live_fan_in_(layer, torch.Generator().manual_seed(0))
        >>> bool(layer.weight.abs() <= 1)
        True
    """
    junction, weight, bias = layer.junction("weight"), layer.get_parameter("weight"), layer._parameters["bias"]
    if weight.is_meta:
        return
    row = junction.positions() // max(junction.inputs, 1)
    bound = torch.bincount(row, minlength=junction.outputs).clamp_(min=1).to(weight.dtype).rsqrt_()
    weight.uniform_(-1, 1, generator=generator).mul_(bound[row])
    if bias is not None:
        alive = torch.bincount(row, minlength=junction.outputs) > 0
        bias.uniform_(-1, 1, generator=generator).mul_(bound * alive)
