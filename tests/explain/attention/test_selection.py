"""What is asked for is kept, nothing else takes memory, and what cannot be had is said clearly."""

import pytest
import torch
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.explain.attention.attend import attention

X = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0))


def encoder(layers=3):
    torch.manual_seed(0)
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 4, 16, batch_first=True), layers)


@pytest.mark.parametrize(
    ("layers", "places"),
    [
        (1, [1]),
        (-1, [2]),
        ([0, -1], [0, 2]),
        ("layers.1.*", [1]),
        (["*0*", 2], [0, 2]),
        ("*", [0, 1, 2]),
        (None, [0, 1, 2]),
    ],
)
def test_layers_by_glob_and_index(layers, places):
    everything = attention(encoder(), X)
    maps = attention(encoder(), X, layers=layers)
    assert maps.names == [everything.names[place] for place in places]
    assert maps.complete == (layers is None)
    for each, place in zip(maps, places, strict=True):
        torch.testing.assert_close(each.weights, everything[place].weights)


def test_heads_and_tokens_are_slices_of_the_whole():
    whole, some = attention(encoder(), X), attention(encoder(), X, heads=[1, -1], tokens=range(2, 5))
    assert (some[2].heads, some[2].queries) == ((1, 3), (2, 3, 4))
    torch.testing.assert_close(some[2].weights, whole[2].weights[:, [1, 3], 2:5], atol=1e-6, rtol=0)
    torch.testing.assert_close(some[2].value_norms, whole[2].value_norms[:, [1, 3]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": 3}, "`layers` 3 is none of the 3 attention calls: layers.0.self_attn"),
        ({"layers": -4}, "`layers` -4 is none"),
        ({"layers": "decoder*"}, "`layers` 'decoder\\*' is none"),
        ({"layers": 1.5}, "`layers` must be a glob"),
        ({"heads": 4}, "`heads` must be between -4 and 3 for the attention call layers.0.self_attn"),
        ({"heads": "1"}, "`heads` must be an index or several"),
        ({"heads": []}, "not empty"),
        ({"tokens": [0, 6]}, "`tokens` must be between -6 and 5"),
        ({"tokens": [0.5]}, "`tokens` must be an index or several"),
        ({"limit_bytes": 0}, "`limit_bytes` must be a positive"),
        ({"limit_bytes": 2000}, "choose with `layers`, `heads` or `tokens`"),
        ({"tokenizer": object()}, "`tokenizer` needs inputs with `input_ids`"),
    ],
)
def test_what_cannot_be_had_is_said_clearly(options, message):
    with pytest.raises(DeepseekError, match=message):
        attention(encoder(), X, **options)


def test_long_sequences_are_bounded_by_the_queries_asked_for():
    """All maps of 8,192 tokens would take 1 GB; torch reports what was allocated at once at most."""

    class Long(nn.Module):
        def forward(self, x):
            return nn.functional.scaled_dot_product_attention(x, x, x)

    x = torch.randn(1, 4, 8192, 8)
    with pytest.raises(DeepseekError, match=r"take 1,073\.7 MB"):
        attention(Long(), x, limit_bytes=1 << 29)
    with torch.profiler.profile(profile_memory=True) as profile:
        maps = attention(Long(), x, tokens=[-1], limit_bytes=1 << 29)
    assert maps[0].weights.shape == (1, 4, 1, 8192)
    assert max(event.cpu_memory_usage for event in profile.key_averages()) < 100e6
