"""Architectures of transformers, tiny and with random weights."""

from collections.abc import Callable
from typing import Any

import torch
import transformers
from certify.case import Case, adamw, own_loss
from torch import nn

VOCABULARY = 40
TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GROUPED = {**TEXT, "num_key_value_heads": 1, "head_dim": 8}
SEQ2SEQ = {
    "vocab_size": VOCABULARY,
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}


def make(architecture: str, config: str, **settings: Any) -> Callable[[], nn.Module]:
    """Return what builds the architecture; transformers itself is imported late, because that takes seconds."""
    return lambda: getattr(transformers, architecture)(getattr(transformers, config)(**settings))


def tokens(*size: int) -> torch.Tensor:
    return torch.randint(3, VOCABULARY, size)


def text() -> dict[str, torch.Tensor]:
    words = tokens(3, 7)
    return {"input_ids": words, "attention_mask": torch.ones_like(words), "labels": words}


def continuation() -> dict[str, Any]:
    return {**text(), "use_cache": False}


def labelled_text() -> dict[str, torch.Tensor]:
    return {"input_ids": tokens(3, 7), "labels": torch.randint(2, (3,))}


def translation() -> dict[str, torch.Tensor]:
    return {"input_ids": tokens(3, 7), "labels": tokens(3, 5)}


def labelled_pictures() -> dict[str, torch.Tensor]:
    return {"pixel_values": torch.randn(3, 3, 16, 16), "labels": torch.randint(4, (3,))}


def captions() -> dict[str, Any]:
    return {"input_ids": tokens(3, 7), "pixel_values": torch.randn(3, 3, 16, 16), "return_loss": True}


def speech() -> dict[str, torch.Tensor]:
    return {"input_features": torch.randn(2, 8, 40), "labels": tokens(2, 5)}


def waves() -> dict[str, torch.Tensor]:
    return {"input_values": torch.randn(2, 400), "labels": tokens(2, 3)}


def sample(model: nn.Module) -> torch.Tensor:
    """Sample a continuation with a cache of keys and values."""
    return model.generate(tokens(2, 4), attention_mask=torch.ones(2, 4), max_new_tokens=4, do_sample=True)


def transcribe(model: nn.Module) -> torch.Tensor:
    return model.generate(torch.randn(2, 8, 40), max_new_tokens=4, num_beams=2)


def language_model(architecture: str, config: str, part: str, **settings: Any) -> Case:
    """A decoder that continues text."""
    build = make(architecture, config, **settings)
    return Case(build, continuation, (own_loss,), adamw, part, sample)


CASES = {
    "BERT": Case(
        make("BertForSequenceClassification", "BertConfig", **TEXT),
        labelled_text,
        (own_loss,),
        part="bert.encoder.layer.0",
    ),
    "DistilBERT": Case(
        make(
            "DistilBertForMaskedLM",
            "DistilBertConfig",
            vocab_size=VOCABULARY,
            dim=16,
            n_layers=2,
            n_heads=2,
            hidden_dim=32,
        ),
        text,
        (own_loss,),
        part="distilbert.transformer.layer.0",
    ),
    "GPT-2": language_model(
        "GPT2LMHeadModel",
        "GPT2Config",
        "transformer.h.0",
        vocab_size=VOCABULARY,
        n_positions=32,
        n_embd=16,
        n_layer=2,
        n_head=2,
        bos_token_id=1,
        eos_token_id=2,
    ),
    "Llama": language_model("LlamaForCausalLM", "LlamaConfig", "model.layers.0", **GROUPED),
    "Qwen3": language_model("Qwen3ForCausalLM", "Qwen3Config", "model.layers.0", **GROUPED),
    "Gemma 2": language_model("Gemma2ForCausalLM", "Gemma2Config", "model.layers.0", **GROUPED),
    "Mixtral": language_model(
        "MixtralForCausalLM", "MixtralConfig", "model.layers.0", **GROUPED, num_local_experts=4, num_experts_per_tok=2
    ),
    "Mamba": language_model(
        "MambaForCausalLM",
        "MambaConfig",
        "backbone.layers.0",
        vocab_size=VOCABULARY,
        hidden_size=16,
        num_hidden_layers=2,
        state_size=4,
        pad_token_id=0,
        eos_token_id=2,
    ),
    "T5": Case(
        make(
            "T5ForConditionalGeneration",
            "T5Config",
            vocab_size=VOCABULARY,
            d_model=16,
            d_kv=8,
            d_ff=32,
            num_layers=1,
            num_heads=2,
            decoder_start_token_id=0,
        ),
        translation,
        (own_loss,),
        part="encoder.block.0.layer.1",
        generate=sample,
    ),
    "BART": Case(
        make("BartForConditionalGeneration", "BartConfig", **SEQ2SEQ, max_position_embeddings=32),
        translation,
        (own_loss,),
        part="model.encoder.layers.0",
        generate=sample,
    ),
    "ViT": Case(
        make(
            "ViTForImageClassification",
            "ViTConfig",
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            image_size=16,
            patch_size=8,
            num_labels=4,
        ),
        labelled_pictures,
        (own_loss,),
        part="vit.layers.0",
    ),
    "ConvNeXt": Case(
        make(
            "ConvNextForImageClassification",
            "ConvNextConfig",
            hidden_sizes=[8, 16],
            depths=[1, 1],
            num_stages=2,
            num_labels=4,
        ),
        labelled_pictures,
        (own_loss,),
        part="convnext.encoder.stages.0",
    ),
    "ResNet of transformers": Case(
        make(
            "ResNetForImageClassification",
            "ResNetConfig",
            embedding_size=8,
            hidden_sizes=[8, 16],
            depths=[1, 1],
            layer_type="basic",
            num_labels=4,
        ),
        labelled_pictures,
        (own_loss,),
        part="resnet.encoder.stages.0",
    ),
    "CLIP": Case(
        make(
            "CLIPModel",
            "CLIPConfig",
            text_config=TEXT,
            vision_config={
                "hidden_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "intermediate_size": 32,
                "image_size": 16,
                "patch_size": 8,
            },
            projection_dim=8,
        ),
        captions,
        (own_loss,),
        part="vision_model.encoder.layers.0",
    ),
    "Whisper": Case(
        make(
            "WhisperForConditionalGeneration",
            "WhisperConfig",
            **SEQ2SEQ,
            num_mel_bins=8,
            max_source_positions=20,
            max_target_positions=16,
        ),
        speech,
        (own_loss,),
        part="model.encoder.layers.0",
        generate=transcribe,
    ),
    "Wav2Vec2": Case(
        make(
            "Wav2Vec2ForCTC",
            "Wav2Vec2Config",
            vocab_size=VOCABULARY,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            conv_dim=[8, 8],
            conv_kernel=[10, 3],
            conv_stride=[5, 2],
            num_feat_extract_layers=2,
            num_conv_pos_embeddings=8,
            num_conv_pos_embedding_groups=2,
            mask_time_length=2,
        ),
        waves,
        (own_loss,),
        part="wav2vec2.encoder.layers.0",
    ),
}
