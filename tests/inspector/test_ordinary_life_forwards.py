"""Forwards that no optimizer step follows: evaluation, generation, and thousands of them."""

import tracemalloc

import pytest
import torch
from ordinary import INPUTS, counts, make, repeated, same, state, step, watch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from deepseek.inspector import recorder

PASSES = ("eval_activation", "generate_activation")


def gpt2():
    sizes = {"vocab_size": 32, "n_positions": 128, "n_embd": 16, "n_layer": 2, "n_head": 2}
    return GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=None, pad_token_id=0))


def llama():
    sizes = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 128}
    return LlamaForCausalLM(LlamaConfig(**sizes, **heads, bos_token_id=0, eos_token_id=None, pad_token_id=0))


def without_functions(sites):
    """Activation functions called as functions are observed in some of the steps only; their names have a colon."""
    return {name: calls for name, calls in sites.items() if ":" not in name}


def train_and_generate(make_model, folder=None, tokens=40):
    """Two steps, a text, two more steps."""
    torch.manual_seed(0)
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    session = watch(model, optimizer, folder) if folder else None
    prompt = torch.arange(4)[None]
    texts = []
    for number in range(4):
        optimizer.zero_grad()
        model(input_ids=prompt, labels=prompt).loss.backward()
        optimizer.step()
        if number == 1:
            model.eval()
            texts.append(model.generate(prompt, max_new_tokens=tokens, do_sample=True))
            model.train()
    return model, session, texts


@pytest.mark.parametrize("make_model", [gpt2, llama])
def test_a_text_generated_under_a_session_is_the_same(tmp_path, make_model):
    plain, _, expected = train_and_generate(make_model)
    watched, session, texts = train_and_generate(make_model, tmp_path)
    session.close()
    assert torch.equal(texts[0], expected[0])
    assert same(state(plain), state(watched))


@pytest.mark.parametrize("make_model", [gpt2, llama])
def test_generated_tokens_do_not_count_as_training(tmp_path, make_model):
    _, session, _ = train_and_generate(make_model, tmp_path)
    session.close()
    found = {number: without_functions(sites) for number, sites in counts(session).items()}
    assert session.status.step == 4
    assert found[0] == found[1] == found[2] == found[3]


@pytest.mark.parametrize("make_model", [gpt2, llama])
def test_generated_tokens_are_observed_as_such(tmp_path, make_model):
    _, session, _ = train_and_generate(make_model, tmp_path)
    session.close()
    rows = session.frame("generate_activation")
    assert len(rows)
    head = rows[rows["site"] == "lm_head"].iloc[-1]
    assert head["shape"] == (1, 1, 32)


def test_an_evaluation_between_steps_is_kept_apart(tmp_path):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path) as session:
        step(model, optimizer)
        model.eval()
        with torch.no_grad():
            model(INPUTS * 3)
        model.train()
        step(model, optimizer)
    assert counts(session) == {number: {"0": 1, "1": 1, "2": 1} for number in (0, 1)}
    evaluated = session.frame("eval_activation").set_index("site")
    assert set(evaluated.index) == {"0", "1", "2"}
    assert evaluated.loc["0", "shape"] == (8, 8)
    assert repeated(session) == []


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_thousands_of_evaluations_take_no_memory(tmp_path, context):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path, every=None) as session:
        for _ in range(3):
            step(model, optimizer)
        grown = growth(model, context)
        for _ in range(3):
            step(model, optimizer)
    assert grown < 500_000
    assert session.status.step == 6


def growth(model, context, forwards=1500):
    """Bytes of Python memory that forwards leave behind, after the first of them."""
    with context():
        for _ in range(300):
            model(INPUTS)
        tracemalloc.start()
        for _ in range(forwards):
            model(INPUTS)
        used, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return used


def test_thousands_of_forwards_with_gradients_and_no_step_are_bounded(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(recorder, "MAX_STEP_ROWS", 300)
    model, optimizer = make()
    with watch(model, optimizer, tmp_path) as session:
        grown = growth(model, torch.enable_grad)
        step(model, optimizer)
        step(model, optimizer)
    assert grown < 100_000
    assert sum(found for site, found in counts(session)[0].items()) == 300
    assert counts(session)[1] == {"0": 1, "1": 1, "2": 1}
    assert len(caplog.records) == 1


def test_thousands_of_forwards_without_an_optimizer_are_steps(tmp_path):
    model, _ = make()
    with watch(model, None, tmp_path, every=100) as session:
        for _ in range(1500):
            model(INPUTS)
    assert session.status.step == 1500
    assert set(counts(session)) == set(range(0, 1500, 100))


def test_forwards_of_a_part_of_the_model_disturb_no_step(tmp_path):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path) as session:
        step(model, optimizer)
        with torch.no_grad():
            for _ in range(5):
                model[0](INPUTS)
        step(model, optimizer)
    assert session.status.step == 2
    assert counts(session)[1] == {"0": 1, "1": 1, "2": 1}
