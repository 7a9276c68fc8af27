"""What the live API makes of an agent's `conversation_config`: what it knows, what it refuses, what it adds.

A key it does not know is dropped without a word, as the service does; the names are those of the vendor's SDK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bulkops.emulator.answers import Refusal
from bulkops.emulator.endpoints import merge_patch

from .refusing import fields, one_of, problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .refusing import Problem

# What an object holds: None is taken as it is, another table is an object whose keys are known as well.
Known = dict[str, "Known | None"]


def _keys(names: str) -> Known:
    return dict.fromkeys(names.split())


RAG = _keys(
    "enabled embedding_model max_vector_distance max_documents_length max_retrieved_rag_chunks_count num_candidates "
    "query_rewrite_prompt_override knowledge_base_tool_info"
)
PROMPT = {
    **_keys(
        "prompt llm reasoning_effort service_tier thinking_budget enable_reasoning_summary temperature max_tokens "
        "tool_ids tool_ids_strict built_in_tools enable_parallel_tool_calls mcp_server_ids native_mcp_server_ids "
        "knowledge_base custom_llm ignore_default_personality timezone backup_llm_config cascade_timeout_seconds tools"
    ),
    "rag": RAG,
}
AGENT = {
    **_keys(
        "first_message language hinglish_mode dynamic_variables disable_first_message_interruptions "
        "max_conversation_duration_message text_behavior_overrides"
    ),
    "prompt": PROMPT,
}
TTS = _keys(
    "model_id voice_id supported_voices expressive_mode suggested_audio_tags agent_output_audio_format "
    "optimize_streaming_latency stability speed similarity_boost clone_strength text_normalisation_type "
    "pronunciation_dictionary_locators enable_phoneme_tags audio_effects"
)
ASR = _keys("quality provider user_input_audio_format keywords")
TURN = _keys(
    "turn_timeout initial_wait_time silence_end_call_timeout turn_eagerness spelling_patience speculative_turn "
    "retranscribe_on_turn_timeout turn_model interruption_ignore_terms interruption_ignore_term_languages "
    "merge_with_default_ignore_terms transcribe_on_disabled_interruptions soft_timeout_config "
    "noisy_environment_detection noisy_environment_message"
)
CONFIG: Known = {
    **_keys("conversation language_presets vad"),
    "agent": AGENT,
    "tts": TTS,
    "asr": ASR,
    "turn": TURN,
}

EMBEDDING_MODELS = ("e5_mistral_7b_instruct", "multilingual_e5_large_instruct", "qwen3_embedding_4b")
_VALUES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("asr", "quality"): ("high",),
    ("asr", "provider"): ("elevenlabs", "scribe_realtime", "realtime_scribe_v1", "scribe_v2_turbo"),
    ("tts", "model_id"): (
        "eleven_turbo_v2",
        "eleven_turbo_v2_5",
        "eleven_flash_v2",
        "eleven_flash_v2_5",
        "eleven_multilingual_v2",
        "eleven_v3_conversational",
        "eleven_v4",
        "eleven_v4_turbo",
    ),
    ("agent", "prompt", "rag", "embedding_model"): EMBEDDING_MODELS,
}
_DEFAULTS: dict[str, Any] = {
    "agent": {
        "first_message": "",
        "language": "en",
        "prompt": {
            "prompt": "",
            "llm": "gemini-2.5-flash",
            "temperature": 0.0,
            "max_tokens": -1,
            "tool_ids": [],
            "knowledge_base": [],
            "rag": {
                "enabled": False,
                "embedding_model": EMBEDDING_MODELS[0],
                "max_vector_distance": 0.6,
                "max_documents_length": 50000,
                "max_retrieved_rag_chunks_count": 20,
            },
        },
    },
    "asr": {"quality": "high", "provider": "elevenlabs"},
    "tts": {
        "model_id": "eleven_flash_v2",
        "voice_id": "cjVigY5qzO86Huf0OWal",
        "stability": 0.5,
        "similarity_boost": 0.8,
        "speed": 1.0,
    },
}
_DOCUMENT = {"type": str, "name": str, "id": str}
_DOCUMENT_TYPES = ("file", "url", "text", "folder")


def wrong_with(config: Mapping[str, Any]) -> list[Problem]:
    """Find what the service refuses in a config; raises Refusal for `tools` together with `tool_ids`."""
    loc = ["body", "conversation_config"]
    found = _shapes(config, CONFIG, loc)
    if found:
        return found
    for path, values in _VALUES.items():
        value = _at(config, path)
        if value is not None:
            found += one_of(value, values, [*loc, *path])
    prompt = _at(config, ("agent", "prompt")) or {}
    if prompt.get("tools") and prompt.get("tool_ids"):
        raise Refusal(400, "invalid_parameters", "a prompt has either `tools` or `tool_ids`, not both")
    return found + _documents(prompt.get("knowledge_base"), [*loc, "agent", "prompt", "knowledge_base"])


def taken(config: Mapping[str, Any], known: Known = CONFIG) -> dict[str, Any]:
    """Return what the service takes of a config: what it knows, where it knows it."""
    return {
        key: taken(value, inner)
        if isinstance(inner := known[key], dict) and isinstance(value, dict)
        else value
        for key, value in config.items()
        if key in known
    }


def whole(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config as the service tells it: with the values it takes for what nobody said."""
    filled: dict[str, Any] = merge_patch(_DEFAULTS, config)
    return filled


def _shapes(value: Mapping[str, Any], known: Known, loc: list[str]) -> list[Problem]:
    objects = {key: dict for key, inner in known.items() if inner is not None}
    found = fields(value, loc, {}, objects)
    for key in objects:
        inner, held = known[key], value.get(key)
        if isinstance(inner, dict) and isinstance(held, dict):
            found += _shapes(held, inner, [*loc, key])
    return found


def _documents(listed: Any, loc: list[str]) -> list[Problem]:
    if listed is None:
        return []
    if not isinstance(listed, list):
        return [problem(loc, "list_type", "Input should be a valid list")]
    found: list[Problem] = []
    for number, each in enumerate(listed):
        place: list[str | int] = [*loc, number]
        if not isinstance(each, dict):
            message = "Input should be a valid dictionary or object to extract fields from"
            found.append(problem(place, "model_attributes_type", message))
            continue
        found += fields(each, place, _DOCUMENT, {})
        if isinstance(each.get("type"), str):
            found += one_of(each["type"], _DOCUMENT_TYPES, [*place, "type"])
    return found


def _at(config: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = config
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
