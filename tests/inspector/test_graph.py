"""The module graph of models whose structure is known, and what is left of it where a forward cannot be followed."""

import gc
import logging
import threading
import weakref
from collections import Counter
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from deepseek.inspector import inspect, open_run
from deepseek.inspector.graph.keeper import CHANGED, COMPILED, NOT_FOLLOWED, NOT_YET, RAISED, THREADS, USERS_MODE


def label(node):
    """A module's own node stands for its parameters."""
    name = f"{node.site}#{node.call}" if node.call else node.site
    return f"parameter of {name}" if node.kind == "module" else name


def links(graph):
    """Every edge as the names of its ends; one that is there twice is counted."""
    return Counter((label(graph.nodes[edge.source]), label(graph.nodes[edge.target])) for edge in graph.edges)


def sources(graph, target):
    return sorted(source for source, end in links(graph).elements() if end == target)


def of_kind(graph, kind):
    return [node for node in graph.nodes if node.kind == kind]


def loss_of(output):
    if isinstance(output, torch.Tensor):
        return output.float().square().mean()
    values = output.values() if hasattr(output, "values") else output
    return sum(loss_of(value) for value in values if isinstance(value, torch.Tensor) and value.requires_grad)


@pytest.fixture
def captured(tmp_path):
    """Train a model for two steps; give its graph, which the run file has as well."""

    def capture(model, *args, **kwargs):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
            for _ in range(2):
                loss_of(model(*args, **kwargs)).backward()
                optimizer.step()
            graph = session.graph()
        with open_run(tmp_path / "x.dsrun") as run:
            assert run.graph() == graph
        return graph

    return capture


class Residual(nn.Module):
    def __init__(self, channels, out):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, padding=1), nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        if channels != out:
            self.down = nn.Conv2d(channels, out, 1)

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += self.down(x) if hasattr(self, "down") else x
        return self.relu(y)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.a, self.b, self.head = nn.Conv2d(3, 4, 3), Residual(4, 4), Residual(4, 8), nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.b(self.a(self.stem(x))).mean((2, 3)))


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.ln, self.qkv, self.proj = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        q, k, v = self.qkv(self.ln(x)).chunk(3, -1)
        return x + self.proj(F.softmax(q @ k.transpose(-2, -1) / 3.0, -1) @ v)


class GPT(nn.Module):
    def __init__(self, functional=False):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(11, 8), nn.Parameter(torch.randn(4, 8))
        self.blocks = nn.ModuleList([Block(8), Block(8)])
        self.functional = functional
        if not functional:
            self.head = nn.Linear(8, 11, bias=False)
            self.head.weight = self.wte.weight

    def forward(self, ids):
        x = self.wte(ids) + self.wpe
        for block in self.blocks:
            x = block(x)
        return F.linear(x, self.wte.weight) if self.functional else self.head(x)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.lstm, self.head = nn.Embedding(11, 8), nn.LSTM(8, 6, 2, batch_first=True), nn.Linear(6, 3)

    def forward(self, ids):
        output, (hidden, _) = self.lstm(self.embed(ids))
        return {"logits": self.head(hidden[-1]), "states": output}


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.middle, self.up = (
            nn.Conv1d(1, 4, 3, padding=1),
            nn.Conv1d(4, 4, 3, padding=1),
            nn.Conv1d(8, 1, 1),
        )
        self.pool = nn.MaxPool1d(2)

    def forward(self, x):
        skip = self.down(x)
        deep = F.interpolate(self.middle(self.pool(skip)), scale_factor=2)
        return self.up(torch.cat([skip, deep], dim=1))


class Wrapped(nn.Module):
    """Calls what it is given between two layers."""

    def __init__(self, function, body=None):
        super().__init__()
        self.before, self.after, self.body = nn.Linear(4, 4), nn.Linear(4, 4), body
        self.function = function

    def forward(self, x, **options):
        return self.after(self.function(self, self.before(x), **options))


def mlp():
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))


IDS = torch.arange(8).reshape(2, 4)
X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))


def test_an_mlp_is_a_chain(captured):
    graph = captured(mlp(), torch.randn(3, 6))
    assert graph.complete
    assert graph.note == ""
    chain = ["input.0", "0", "1", "2", "output"]
    assert links(graph) == Counter(pairwise(chain))
    assert [(edge.shape, edge.dtype, edge.bytes) for edge in graph.edges] == [
        ((3, 6), "float32", 72),
        ((3, 5), "float32", 60),
        ((3, 5), "float32", 60),
        ((3, 2), "float32", 24),
    ]
    assert [(node.site, node.type, node.parent) for node in of_kind(graph, "module")] == [
        ("Sequential", "Sequential", None),
        ("0", "Linear", 0),
        ("1", "ReLU", 0),
        ("2", "Linear", 0),
    ]


def test_residual_adds_have_the_two_right_sources(captured):
    graph = captured(ResNet(), torch.randn(2, 3, 8, 8))
    assert graph.complete
    assert sources(graph, "a:add") == ["a.bn2", "stem"]
    assert sources(graph, "b:add") == ["b.bn2", "b.down"]
    assert sources(graph, "a.relu#1") == ["a:add"]
    assert sources(graph, "b.conv1") == sources(graph, "b.down") == ["a.relu#1"]
    assert sources(graph, "head") == ["b.relu#1"]
    assert len(of_kind(graph, "function")) == 2


@pytest.mark.parametrize("functional", [False, True])
def test_a_gpt_with_tied_embeddings(captured, functional):
    graph = captured(GPT(functional), IDS)
    assert graph.complete
    assert sources(graph, "GPT:add") == ["wte"]  # the position embedding is a parameter of the model itself
    for block, before in (("blocks.0", "GPT:add"), ("blocks.1", "blocks.0:add")):
        assert sources(graph, f"{block}.ln") == [before]
        assert sources(graph, f"{block}:matmul") == [f"{block}.qkv"] * 2
        assert sources(graph, f"{block}:softmax") == [f"{block}:matmul"]
        assert sources(graph, f"{block}:matmul#1") == sorted([f"{block}.qkv", f"{block}:softmax"])
        assert sources(graph, f"{block}:add") == sorted([before, f"{block}.proj"])
    tied = sources(graph, "GPT:linear" if functional else "head")
    assert tied == (["blocks.1:add", "parameter of wte"] if functional else ["blocks.1:add"])


def test_an_lstm_classifier_with_several_outputs(captured):
    graph = captured(Classifier(), IDS)
    assert graph.complete
    assert links(graph) == Counter(
        [
            ("input.0", "embed"),
            ("embed", "lstm"),
            ("lstm", "head"),
            ("head", "output.logits"),
            ("lstm", "output.states"),
        ]
    )
    (lstm,) = (node for node in of_kind(graph, "call") if node.site == "lstm")
    assert (lstm.shape, lstm.bytes) == ((2, 4, 6), 4 * (2 * 4 * 6 + 2 * 2 * 2 * 6))
    assert next(edge for edge in graph.edges if graph.nodes[edge.target].site == "head").shape == (2, 6)


def test_a_module_used_three_times_is_one_node_with_three_calls(captured):
    shared = nn.Linear(4, 4)
    graph = captured(nn.Sequential(shared, nn.Tanh(), shared, nn.Tanh(), shared), X)
    assert [node.site for node in of_kind(graph, "module")] == ["Sequential", "0", "1", "3"]
    calls = [node for node in of_kind(graph, "call") if node.site == "0"]
    assert [node.call for node in calls] == [0, 1, 2]
    assert {node.parent for node in calls} == {1}
    assert links(graph) == Counter(
        [("input.0", "0"), ("0", "1"), ("1", "0#1"), ("0#1", "3"), ("3", "0#2"), ("0#2", "output")]
    )


def test_a_block_called_twice_tells_what_each_call_called(captured):
    block = Block(8)
    graph = captured(nn.Sequential(block, block), torch.randn(2, 4, 8))
    outer = [node.id for node in of_kind(graph, "call") if node.site == "0"]
    callers = {label(node): node.caller for node in graph.nodes if node.caller and node.site in ("0.ln", "0:add")}
    assert callers == {"0.ln": outer[0], "0:add": outer[0], "0.ln#1": outer[1], "0:add#1": outer[1]}
    assert sources(graph, "0:add#1") == ["0.proj#1", "0:add"]


def test_a_skip_connection_by_concatenation(captured):
    graph = captured(UNet(), torch.randn(2, 1, 8))
    assert graph.complete
    assert sources(graph, "UNet:cat") == ["UNet:interpolate", "down"]
    assert sources(graph, "UNet:interpolate") == ["middle"]
    assert sources(graph, "up") == ["UNet:cat"]


def transformer(name):
    transformers = pytest.importorskip("transformers")
    few = {"vocab_size": 11, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    if name == "bert":
        config = transformers.BertConfig(**few, intermediate_size=16, max_position_embeddings=8)
        return transformers.BertModel(config)
    if name == "gpt2":
        config = transformers.GPT2Config(vocab_size=11, n_embd=8, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
        return transformers.GPT2LMHeadModel(config)
    few |= {"num_key_value_heads": 1, "intermediate_size": 16, "bos_token_id": 0, "eos_token_id": 1}
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**few, tie_word_embeddings=True))


def test_bert(captured):
    graph = captured(transformer("bert"), input_ids=IDS, attention_mask=torch.ones_like(IDS))
    assert graph.complete
    layer = "encoder.layer.1"
    attention = f"{layer}.attention.self"
    assert sources(graph, f"{attention}:scaled_dot_product_attention") == sorted(
        [f"{attention}.query", f"{attention}.key", f"{attention}.value"]
    )
    assert sources(graph, f"{attention}.query") == ["encoder.layer.0.output.LayerNorm"]
    assert sources(graph, f"{layer}.attention.output:add") == [
        "encoder.layer.0.output.LayerNorm",
        f"{layer}.attention.output.dropout",
    ]
    assert sources(graph, f"{layer}.output:add") == [
        f"{layer}.attention.output.LayerNorm",
        f"{layer}.output.dropout",
    ]
    assert sources(graph, "output.pooler_output") == ["pooler.activation"]


def test_gpt2(captured):
    graph = captured(transformer("gpt2"), input_ids=IDS, labels=IDS)
    assert graph.complete
    block = "transformer.h.1"
    assert sources(graph, "transformer:add") == ["transformer.wpe", "transformer.wte"]
    assert sources(graph, f"{block}:add") == ["transformer.h.0:add#1", f"{block}.attn.resid_dropout"]
    assert sources(graph, f"{block}:add#1") == [f"{block}.mlp.dropout", f"{block}:add"]
    assert sources(graph, f"{block}.attn:scaled_dot_product_attention") == [f"{block}.attn.c_attn"] * 3
    assert sources(graph, "output.loss") == ["GPT2LMHeadModel:cross_entropy"]
    assert "parameter of transformer.wte" not in {source for source, _ in links(graph)}


def test_llama(captured):
    graph = captured(transformer("llama"), input_ids=IDS, labels=IDS)
    assert graph.complete
    layer = "model.layers.1"
    assert sources(graph, f"{layer}:add") == ["model.layers.0:add#1", f"{layer}.self_attn.o_proj"]
    assert sources(graph, f"{layer}:add#1") == [f"{layer}.mlp.down_proj", f"{layer}:add"]
    assert sources(graph, f"{layer}.mlp:mul") == [f"{layer}.mlp.act_fn", f"{layer}.mlp.up_proj"]
    assert sources(graph, f"{layer}.self_attn:scaled_dot_product_attention") == [
        f"{layer}.self_attn.v_proj",
        f"{layer}.self_attn:add",
        f"{layer}.self_attn:add#1",
    ]
    assert sources(graph, f"{layer}.self_attn:mul") == [f"{layer}.self_attn.q_proj", "model.rotary_emb"]


def spec(tensor):
    dtype = str(tensor.dtype).removeprefix("torch.")
    return tuple(tensor.shape), dtype, tensor.numel() * tensor.element_size()


ZOO = {
    "mlp": lambda: (mlp(), [torch.randn(3, 6)]),
    "double": lambda: (mlp().double(), [torch.randn(3, 6, dtype=torch.float64)]),
    "resnet": lambda: (ResNet(), [torch.randn(2, 3, 8, 8)]),
    "gpt": lambda: (GPT(), [IDS]),
    "lstm": lambda: (Classifier(), [IDS]),
    "unet": lambda: (UNet(), [torch.randn(2, 1, 8)]),
    "llama": lambda: (transformer("llama"), [IDS]),
}


@pytest.mark.parametrize("name", ZOO)
def test_shapes_dtypes_and_bytes_are_those_that_hooks_see(captured, name):
    """Each leaf module takes what its edges say, and each call gives what its node says."""
    model, args = ZOO[name]()
    taken, given = {}, {}
    calls = Counter()

    def note(module_name):
        def hook(module, inputs, output):
            key = (module_name, calls[module_name])
            calls[module_name] += 1
            tensors = output if isinstance(output, tuple) else (output,)
            flat = [one for item in tensors for one in (item if isinstance(item, tuple) else (item,))]
            given.setdefault(key, spec(flat[0]))
            if not list(module.children()):
                taken.setdefault(key, sorted(map(spec, inputs)))

        return hook

    for module_name, module in model.named_modules():
        if module_name and not module_name.endswith(("rotary_emb", "model")):
            module.register_forward_hook(note(module_name))
    graph = captured(model, *args)
    nodes = {(node.site, node.call): node for node in of_kind(graph, "call")}
    assert len(given) >= 3
    for key, expected in given.items():
        if key[1] <= max(node.call for node in nodes.values() if node.site == key[0]):
            assert (nodes[key].shape, nodes[key].dtype) == expected[:2]
    for key, expected in taken.items():
        if key in nodes and expected:
            assert sorted(edge[2:] for edge in graph.edges if edge.target == nodes[key].id) == expected, key


def test_a_tensor_of_several_sources_is_known_again_whatever_happens_to_others(captured):
    """Tensors that die in mid-forward leave their addresses to others, which must not take over their origin."""

    def churn(model, x):
        kept = model.body(x)
        for _ in range(50):
            _ = model.body(torch.zeros(3, 4))
            constant = torch.ones(3, 4)
            assert constant is not kept
            kept = kept * constant
        return kept + x

    graph = captured(Wrapped(churn, nn.Linear(4, 4)), X)
    assert sources(graph, "Wrapped:add") == ["before", "body"]
    assert [node.type for node in of_kind(graph, "function")] == ["add"]


def test_views_casts_and_reductions_are_passed_through_with_the_shape_at_the_end(captured):
    graph = captured(Wrapped(lambda model, x: (x.reshape(4, 3).t().contiguous() * 2.0).double().float()[:2]), X)
    assert sources(graph, "after") == ["before"]
    assert next(edge for edge in graph.edges if graph.nodes[edge.target].site == "after").shape == (2, 4)
    assert not of_kind(graph, "function")


def test_activation_functions_have_the_site_of_their_rows(tmp_path):
    model = Wrapped(lambda model, x: F.relu(x))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        model(X).sum().backward()
        optimizer.step()
        (function,) = of_kind(session.graph(), "function")
        assert function.site in set(session.frame("activation")["site"])


def test_what_nobody_uses_is_left_out(captured):
    graph = captured(Wrapped(lambda model, x: (x.mul(model.before(x)), x)[1]), X)
    assert not of_kind(graph, "function")


def test_a_tensor_that_is_passed_three_times_arrives_once(captured):
    model = Wrapped(lambda model, x: model.body(x, x, x)[0], nn.MultiheadAttention(4, 2))
    assert sources(captured(model, X), "body") == ["before"]


def test_keyword_arguments_and_nested_outputs(captured):
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, *, batch):
            y = self.fc(input=batch["x"])
            return {"deep": [y, (y + batch["x"],)]}

    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.named = Named()

        def forward(self, **batch):
            return self.named(batch=batch)["deep"][1][0]

    graph = captured(Sum(), x=X)
    assert links(graph) == Counter(
        [("input.x", "named.fc"), ("named.fc", "named:add"), ("input.x", "named:add"), ("named:add", "output")]
    )


@pytest.mark.parametrize("reentrant", [True, False])
def test_activation_checkpointing(captured, reentrant):
    def body(model, x):
        return x + checkpoint(model.body, x, use_reentrant=reentrant)

    graph = captured(Wrapped(body, mlp_of(4)), X)
    assert graph.complete
    assert sources(graph, "Wrapped:add") == ["before", "body.2"]
    assert len(of_kind(graph, "call")) == len(of_kind(graph, "module"))


def mlp_of(width):
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))


def test_a_session_has_the_plain_tree_before_the_first_forward(tmp_path):
    model = mlp()
    with inspect(model, run=tmp_path / "x.dsrun") as session:
        graph = session.graph()
    assert (graph.complete, graph.note, graph.edges) == (False, NOT_YET, ())
    assert [node.site for node in graph.nodes] == ["Sequential", "0", "1", "2"]


def test_without_activations_there_is_the_plain_tree(tmp_path):
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with inspect(model, optimizer, every=1, kinds=["gradient"], run=tmp_path / "x.dsrun") as session:
        model(torch.randn(3, 6)).sum().backward()
        optimizer.step()
        session.flush()
        with open_run(session.path) as run:
            assert run.graph() == session.graph()
        assert session.graph().note == NOT_FOLLOWED
        assert len(session.graph().nodes) == 4


def test_a_forward_that_raises_leaves_the_plain_tree_and_the_next_one_is_captured(tmp_path):
    def fails(model, x, fail):
        if fail:
            raise ZeroDivisionError
        return model.body(x)

    model = Wrapped(fails, nn.Linear(4, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        with pytest.raises(ZeroDivisionError):
            model(X, fail=True)
        assert (session.graph().complete, session.graph().note) == (False, RAISED)
        assert len(session.graph().nodes) == 4
        model(X, fail=False).sum().backward()
        optimizer.step()
        assert session.graph().complete


def test_an_error_that_the_model_itself_catches(captured):
    def tries(model, x):
        try:
            model.body(x[:, :1])
        except RuntimeError:
            return x + model.body[1](x)

    graph = captured(Wrapped(tries, mlp_of(4)), X)
    assert graph.complete
    assert sources(graph, "Wrapped:add") == ["before", "body.1"]


@pytest.mark.parametrize("branch", [-1.0, 1.0])
def test_a_branch_that_depends_on_data_shows_the_way_that_was_taken(captured, branch):
    def either(model, x):
        return model.body[0](x) if float(x.detach().sum() * 0) + branch > 0 else model.body[2](x)

    graph = captured(Wrapped(either, mlp_of(4)), X)
    assert sources(graph, "after") == ["body.0" if branch > 0 else "body.2"]


def test_a_compiled_model_leaves_the_plain_tree(captured):
    torch._dynamo.reset()
    graph = captured(torch.compile(mlp_of(4), backend="aot_eager"), X)
    assert (graph.complete, graph.note) == (False, COMPILED)
    assert [node.site for node in graph.nodes][-1] == "_orig_mod.2"


def test_a_compiled_part_leaves_the_plain_tree(captured):
    torch._dynamo.reset()
    body = mlp_of(4)
    body.compile(backend="aot_eager")
    assert captured(Wrapped(lambda model, x: model.body(x), body), X).note == COMPILED


def test_a_forward_under_a_mode_of_the_users_leaves_the_plain_tree(tmp_path):
    model = mlp()
    with inspect(model, every=1, run=tmp_path / "x.dsrun") as session, torch.device("cpu"):
        model(torch.randn(3, 6)).sum().backward()
        assert session.graph().note == USERS_MODE


def test_modules_that_compute_in_several_threads_leave_the_plain_tree(captured):
    def threaded(model, x):
        found = []
        thread = threading.Thread(target=lambda: found.append(model.body(x)))
        thread.start()
        thread.join()
        return found[0]

    assert captured(Wrapped(threaded, mlp_of(4)), X).note == THREADS


def test_a_custom_autograd_function_that_joins_two_tensors_is_seen(captured):
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a * b

        @staticmethod
        def backward(ctx, gradient):
            a, b = ctx.saved_tensors
            return gradient * b, gradient * a

    graph = captured(Wrapped(lambda model, x: Product.apply(x, model.body(x)), nn.Linear(4, 4)), X)
    assert [sources(graph, label(node)) for node in of_kind(graph, "function")] == [["before", "body"]]


def test_a_tensor_of_unknown_origin_makes_the_graph_incomplete(captured):
    old = nn.Linear(4, 4)(X).detach().requires_grad_()
    graph = captured(Wrapped(lambda model, x: x + old), X)
    assert not graph.complete
    assert "where hooks do not see" in graph.note
    assert sources(graph, "after") == ["before"]


def test_modules_that_are_replaced_are_captured_again(tmp_path):
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        notes = []
        for step in range(12):
            if step == 1:
                model.append(nn.Linear(2, 7))
            model(torch.randn(3, 6)).sum().backward()
            optimizer.step()
            notes.append(session.graph().note)
        session.flush()
        with open_run(session.path) as run:
            assert sources(run.graph(), "output") == ["3"]
    assert notes[0] == notes[-1] == ""
    assert CHANGED in notes


def test_a_lazy_module_has_the_type_that_it_became(captured):
    model = nn.Sequential(nn.Linear(6, 5), nn.LazyLinear(2))
    model_types = [node.type for node in captured_lazily(model, captured)]
    assert model_types == ["Sequential", "Linear", "Linear"]


def captured_lazily(model, captured):
    optimizer = torch.optim.SGD([model[0].weight], lr=0.01)
    path = captured.__closure__[0].cell_contents / "lazy.dsrun"
    with inspect(model, optimizer, every=1, run=path) as session:
        model(torch.randn(3, 6)).sum().backward()
        optimizer.step()
        return of_kind(session.graph(), "module")


def test_capturing_leaves_no_tensor_alive(tmp_path):
    seen = []

    def watch(model, x):
        y = x * 3.0
        seen.append(weakref.ref(y))
        return y + x

    model = Wrapped(watch)
    for layer in (model.before, model.after):
        layer.register_forward_hook(lambda module, args, output: seen.append(weakref.ref(output)))
    with inspect(model, every=1, run=tmp_path / "x.dsrun") as session:
        x = torch.randn(3, 4)
        seen.append(weakref.ref(x))
        model(x)
        del x
        gc.collect()
        assert session.graph().complete
        assert len(seen) == 4
        assert [one() for one in seen] == [None] * 4


def test_capturing_leaves_no_model_alive(tmp_path):
    model = mlp()
    with inspect(model, every=1, run=tmp_path / "x.dsrun") as session:
        model(torch.randn(3, 6))
        gone = weakref.ref(model)
        del model
        gc.collect()
        assert gone() is None
        assert len(session.graph().nodes) == 10


@pytest.mark.parametrize("make", [ResNet, Classifier, GPT])
def test_training_is_bit_equal_with_and_without_the_capture(make, tmp_path, monkeypatch):
    args = torch.randn(2, 3, 8, 8) if make is ResNet else IDS

    def train(watched):
        torch.manual_seed(0)
        model = make()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        session = inspect(model, optimizer, every=1, run=tmp_path / f"{watched}.dsrun") if watched else None
        for _ in range(4):
            optimizer.zero_grad()
            loss_of(model(args)).backward()
            optimizer.step()
        if session is not None:
            assert session.graph().complete
            session.close()
        return [*model.state_dict().values(), torch.get_rng_state()]

    assert all(torch.equal(a, b) for a, b in zip(train(True), train(False), strict=True))


def test_an_error_in_the_capture_is_said_once_and_training_goes_on(tmp_path, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr("deepseek.inspector.graph.capture._spec", broken)
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with caplog.at_level(logging.WARNING), inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        for _ in range(12):
            model(torch.randn(3, 6)).sum().backward()
            optimizer.step()
        assert session.graph().note == "capturing it failed (RuntimeError)"
        assert len(session.graph().nodes) == 4
        assert session.frame("activation")["step"].nunique() == 12
    assert [record.getMessage() for record in caplog.records] == [
        "deepseek: capturing the module graph failed and is switched off (RuntimeError: broken on purpose). "
        "Your training is not affected."
    ]


def test_a_graph_that_would_be_too_large_is_the_plain_tree(captured, monkeypatch):
    monkeypatch.setattr("deepseek.inspector.graph.capture.MAX_NODES", 8)
    graph = captured(mlp(), torch.randn(3, 6))
    assert (len(graph.nodes), graph.complete) == (4, False)
    assert "more than 8" in graph.note


def test_the_text_is_a_tree_without_control_codes(captured):
    model = nn.Sequential()
    model.add_module("a\x1b[31mb", nn.Linear(6, 5))
    model.add_module("c", nn.ReLU())
    text = str(captured(model, torch.randn(3, 6)))
    assert "\x1b" not in text
    assert text.splitlines() == [
        "ModuleGraph of Sequential: 3 modules, 3 calls, 0 functions, 1 input, 1 output, 3 edges",
        "Sequential -> [3, 5] float32, 60 bytes",
        "  input.0 -> [3, 6] float32, 72 bytes",
        "  output <- c",
        "  ab: Linear -> [3, 5] float32, 60 bytes",
        "  c: ReLU -> [3, 5] float32, 60 bytes",
    ]


def test_the_text_of_a_deep_tree_ends():
    from deepseek.inspector.graph import ModuleGraph, Node

    nodes = [Node(i, str(i), "M", "module", i - 1 if i else None, None, 0, None, "", 0) for i in range(5000)]
    assert len(str(ModuleGraph(tuple(nodes), (), complete=True)).splitlines()) == 5001


def test_a_result_in_a_plain_class_is_not_followed_and_survives(captured):
    model = Wrapped(lambda model, x: SimpleNamespace(x=model.body(x)).x, nn.Linear(4, 4))
    assert sources(captured(model, X), "after") == ["body"]
