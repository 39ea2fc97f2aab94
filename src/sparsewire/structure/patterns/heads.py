"""The pattern of whole attention heads, found in the projections of an attention by their names."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import whole
from sparsewire.structure.naming import projection_of
from sparsewire.structure.patterns.contract import Grid, Pattern, Site


@dataclass(frozen=True)
class Heads(Pattern):
    """Whole heads of attentions: a head's rows of the projections q, k and v, and its columns of the projection out.

    With d = embedding / count, head h has the rows h·d … (h+1)·d − 1 of each of q, k, v (which `nn.MultiheadAttention`
    stacks one after the other in `in_proj_weight`) and the same columns of `out_proj.weight`. Those of one attention
    that are selected live and die together: the head's score is the sum of its scores in all of them, norms included,
    and it counts once. With its columns of the projection out, a head is gone from the output, its biases too.

    Projections are known by their names: those of `nn.MultiheadAttention`, and linear layers of their own, as in
    Hugging Face models: q_proj, k_proj, v_proj and out_proj or o_proj; query, key, value and attention.output.dense;
    q_lin, k_lin, v_lin, out_lin; to_q, to_k, to_v, to_out; wq, wk, wv, wo. A subclass with a `place` of its own knows
    others.

    Args:
        count: heads of each attention.

    Raises:
        RequestError: the count is not a positive whole number; later, a weight is no projection of an attention, or not
            made of so many heads.

    Example:
        >>> import torch
        >>> Heads(2).pool(torch.tensor([[1.0], [2.0], [3.0], [4.0]]), Site("q_proj.weight", 4, 1))
        tensor([3., 7.])

    Reference: Michel, Levy and Neubig 2019, section 2, who leave out heads in the forward pass.
    """

    count: int

    def __post_init__(self) -> None:
        whole("count", self.count, least=1)

    def place(self, name: str) -> tuple[str, str]:
        """The attention that a weight belongs to, and where in it its heads lie: in the "rows" or the "columns".

        Raises:
            RequestError: it is no projection of an attention.
        """
        if (found := projection_of(name)) is None:
            raise RequestError(
                f"pattern: {self} is for the projections of attentions, but {name!r} is none by its name; leave it "
                "out, as only='attention' does"
            )
        return found[0], "columns" if found[1] == "out_proj" else "rows"

    def grid(self, site: Site) -> Grid:
        """One entry per head; the rows (of the projection out the columns) must be made of whole ones."""
        self._size(site)
        return (self.count,)

    def groups(self, sites: Mapping[str, Site]) -> list[list[str]]:
        """The projections of each attention keep the same heads.

        Raises:
            RequestError: their heads are not of one size, as where several queries share a key.
        """
        attentions: dict[str, list[str]] = {}
        sizes: dict[str, int] = {}
        for name, site in sites.items():
            attention, size = self.place(name)[0], self._size(site)
            if sizes.setdefault(attention, size) != size:
                raise RequestError(
                    f"pattern: {self} finds heads of {size} in {name!r}, but of {sizes[attention]} in "
                    f"{attentions[attention][0]!r}, of the same attention; select with only= those that have so many"
                )
            attentions.setdefault(attention, []).append(name)
        return list(attentions.values())

    def pool(self, values: Tensor, site: Site) -> Tensor:
        """Sums over all weights of a head."""
        if self.place(site.name)[1] == "columns":
            return values.reshape(site.rows, self.count, -1).sum((0, 2))
        return values.reshape(site.projections, self.count, -1).sum((0, 2))

    def spread(self, units: Tensor, site: Site) -> Tensor:
        """Every weight of a head has the head's entry."""
        if self.place(site.name)[1] == "columns":
            return units.repeat_interleave(self._size(site))[None].expand(site.rows, site.inputs)
        # The projections are stacked one after the other, each with all heads.
        return (
            units.repeat_interleave(self._size(site)).repeat(site.projections)[:, None].expand(site.rows, site.inputs)
        )

    def _size(self, site: Site) -> int:
        where = self.place(site.name)[1]
        total = site.rows // site.projections if where == "rows" else site.inputs
        if total % self.count:
            raise RequestError(
                f"pattern: {self} does not divide {site.name!r}, which has {total} {where}; give the number of "
                "its heads"
            )
        return total // self.count
