import copy
import pickle

import pytest

from sparsewire.errors import RequestError, SparsewireError, UnknownNameError


@pytest.mark.parametrize("kind", [SparsewireError, RequestError, ValueError, KeyError, LookupError])
def test_an_unknown_name_is_caught_as_what_it_is(kind):
    with pytest.raises(kind, match="no layer is named 'a'"):
        raise UnknownNameError("layer", "a", ["b"])


def test_its_message_is_plain_text_although_it_is_a_key_error():
    error = UnknownNameError("layer", "0.wait", ["0.weight", "0.bias"])
    assert str(error) == "no layer is named '0.wait'; did you mean '0.weight'? There are: 0.bias, 0.weight"
    assert str(UnknownNameError("layer", "a", [])) == "no layer is named 'a'. There are: none"
    assert str(UnknownNameError("layer", "a", [f"b{i:02}" for i in range(14)])).endswith("b10, b11 and 2 more")


@pytest.mark.parametrize("error", [UnknownNameError("layer", "a", ["b"]), RequestError("density: found 2")])
def test_errors_can_be_sent_to_another_process(error):
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301
        assert type(twin) is type(error)
        assert str(twin) == str(error)
