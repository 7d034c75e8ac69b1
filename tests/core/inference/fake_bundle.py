"""A bundle of a few hundred kilobytes with the real graphs' signatures, made without torch.

Its decoder writes fixed captions in slot form: the first decoder token of an epoch chooses among five variants, so that
epochs of one batch write different texts of different lengths. The variant and the domain reach the decoder's step
through the caches alone, as in a real model: a cache that loses its rows writes the wrong text.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from core.language.band_course import N_FEATURES
from core.language.context import COURSE_STEPS
from core.language.event_course import COLUMNS_OF, N_COURSE
from core.language.facts import DOMAINS
from core.language.tokenizer import Tokenizer, train_tokenizer
from core.psg.channels import MODEL_CHANNELS
from core.psg.scoring import EVENT_TYPES, STAGES

CHANNELS = (*MODEL_CHANNELS, "SPO2")
SAMPLES = 1920
EMBED = 16
QUERIES = 4
WIDTH = 8
CONTEXT = 64
VARIANTS = 5
EPSILON = 1e-6
LAG = 16  # samples; sums over a length that is no multiple of a vector depend on where the row lies in memory
OPSET = 17
TEMPERATURE = 20.0

STAGE_TEXTS = (
    "The stage is Wake. No events are present.",
    "The stage is Light Sleep (N1). An arousal occurs from <t_3.0> to <t_9.5>.",
    "The stage is Stable Light Sleep (N2). A hypopnea occurs from <t_12.0> to <t_30.0>.",
    "The stage is Deep Sleep (N3). No events are present.",
    "The stage is REM Sleep. An obstructive apnea occurs from <t_0.0> to <t_14.5>.",
)
CHANNEL_TEXTS = {
    "brain": "C3 delta <c3_delta>, theta <c3_theta>, alpha <c3_alpha>, sigma <c3_sigma>, beta <c3_beta>.",
    "cardiac": "Heart rate <heart_rate_min> to <heart_rate_max>, mean <heart_rate_mean>.",
    "respiration": "Airflow rate <airflow_rate>.",
    "somatic": "Body position: <position>.",
}


def caption_text(variant: int, domain: str) -> str:
    """The text that the fake decoder writes."""
    return STAGE_TEXTS[variant] if domain == "stage_event" else CHANNEL_TEXTS[domain]


def write_fake_bundle(folder: Path, name: str = "fake") -> Path:
    """Write the bundle; the same bytes every time."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = [*STAGE_TEXTS, *CHANNEL_TEXTS.values()] * 2
    tokenizer = train_tokenizer(texts, vocab_size=600, context_length=CONTEXT)
    tokenizer.save(folder / "tokenizer.json")
    graphs = {
        "signal_encoder": _signal_encoder(),
        "text_encoder": _text_encoder(tokenizer.vocab_size),
        "decoder_prefill": _decoder_prefill(),
        "decoder_step": _decoder_step(tokenizer),
    }
    for graph, model in graphs.items():
        (folder / f"{graph}.onnx").write_bytes(model.SerializeToString(deterministic=True))
    description = _description(name, folder, tuple(graphs))
    (folder / "bundle.json").write_text(json.dumps(description, indent=1, sort_keys=True), encoding="utf-8")
    return folder


def write_fake_night_bundle(folder: Path) -> Path:
    """Write the bundle with a night model: the loudest of five bands names the stage, small breathing is an apnea."""
    write_fake_bundle(folder)
    stages = np.zeros((N_FEATURES, len(STAGES)), np.float32)
    for stage, band in enumerate((4, 1, 3, 0, 2)):  # W beta, N1 theta, N2 sigma, N3 delta, R alpha
        stages[band, stage] = 4.0
    events = np.zeros((N_COURSE, len(EVENT_TYPES)), np.float32)
    events[COLUMNS_OF["AF"].start + 4, EVENT_TYPES.index("central_apnea")] = -4.0
    events[COLUMNS_OF["EEG"].start + 2, EVENT_TYPES.index("arousal")] = 4.0
    path = folder / "bundle.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    for name, weights in (("night_stages", stages), ("night_events", events)):
        file = folder / f"{name}.onnx"
        file.write_bytes(_product(weights).SerializeToString(deterministic=True))
        description["graphs"][name] = {"file": file.name, "sha256": _digest(file), "bytes": file.stat().st_size}
    description["event_thresholds"] = {"breathing": 0.9, "arousal": 0.9}
    path.write_text(json.dumps(description, indent=1, sort_keys=True), encoding="utf-8")
    return folder


def write_fake_shown_bundle(folder: Path, measured: tuple[str, ...], courses: tuple[str, ...]) -> Path:
    """Write the bundle with a night model whose encoder is shown more than signals.

    Its embedding is the values shown, 0 where not known, the half seconds of each course, and 1: divided by its last
    number it says what was shown.
    """
    write_fake_night_bundle(folder)
    path, encoder = folder / "bundle.json", folder / "signal_encoder.onnx"
    encoder.write_bytes(_shown_encoder(len(measured), len(courses)).SerializeToString(deterministic=True))
    description = json.loads(path.read_text(encoding="utf-8"))
    description["graphs"]["signal_encoder"] |= {"sha256": _digest(encoder), "bytes": encoder.stat().st_size}
    description |= {"measured": measured, "courses": courses, "embed_dim": len(measured) + len(courses) + 1}
    for name in ("text_encoder", "decoder_prefill", "decoder_step"):
        del description["graphs"][name]
    path.write_text(json.dumps(description, indent=1, sort_keys=True), encoding="utf-8")
    return folder


def _shown_encoder(values: int, courses: int) -> ModelProto:
    graph = _Graph()
    graph.add("IsNaN", ["values"], "unknown")
    graph.add("Where", ["unknown", graph.constant("zero", np.zeros((1, values), np.float32)), "values"], "known")
    graph.add("ReduceSum", ["courses", graph.constant("last", np.array([2]))], "lengths", keepdims=0)
    graph.add("ReduceSum", ["signals", graph.constant("inside", np.array([1, 2]))], "loudness", keepdims=0)
    graph.add("ReduceSum", ["present", graph.constant("channels", np.array([1]))], "count", keepdims=0)
    graph.add("Add", ["loudness", "count"], "sum")
    graph.add("Mul", ["sum", graph.constant("nothing", np.array(0, np.float32))], "zeros")
    graph.add("Add", ["zeros", graph.constant("unit", np.array(1, np.float32))], "ones")
    graph.add("Unsqueeze", ["ones", graph.constant("axis", np.array([1]))], "one")
    graph.add("Concat", ["known", "lengths", "one"], "raw", axis=1)
    graph.normalised("raw", "embedding")
    graph.add("Reshape", ["one", graph.constant("shape", np.array([-1, 1, 1]))], "single")
    graph.add("Expand", ["single", graph.constant("tokens", np.array([1, QUERIES, WIDTH]))], "decoder_tokens")
    return graph.model(
        {
            "signals": (TensorProto.FLOAT, ["batch", len(CHANNELS), SAMPLES]),
            "present": (TensorProto.FLOAT, ["batch", len(CHANNELS)]),
            "values": (TensorProto.FLOAT, ["batch", values]),
            "courses": (TensorProto.FLOAT, ["batch", courses, COURSE_STEPS]),
        },
        {"embedding": ["batch", values + courses + 1], "decoder_tokens": ["batch", QUERIES, WIDTH]},
    )


def _product(weights: NDArray[np.float32]) -> ModelProto:
    """`features [B, T, F]` → `scores [B, T, K]`: one product, minus four for the events' sake."""
    count, kinds = weights.shape
    offset = np.full(kinds, -4.0 if kinds > len(STAGES) else 0.0, np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["features", "w"], ["p"]), helper.make_node("Add", ["p", "b"], ["scores"])],
        "course",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", "length", count])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", "length", kinds])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(offset, "b")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def _description(name: str, folder: Path, graphs: tuple[str, ...]) -> dict[str, Any]:
    stay = 0.8
    move = (1.0 - stay) / (len(STAGES) - 1)
    transitions = [[stay if row == column else move for column in STAGES] for row in STAGES]
    return {
        "format": 2,
        "name": name,
        "kind": "sleepcli",
        "channels": list(CHANNELS),
        "samples": SAMPLES,
        "rate": 64,
        "embed_dim": EMBED,
        "decoder_tokens": QUERIES,
        "context_length": CONTEXT,
        "domains": list(DOMAINS),
        "slots": True,
        "has_present_input": True,
        "tokenizer": {"file": "tokenizer.json", "sha256": _digest(folder / "tokenizer.json")},
        "graphs": {
            graph: {
                "file": f"{graph}.onnx",
                "sha256": _digest(folder / f"{graph}.onnx"),
                "bytes": (folder / f"{graph}.onnx").stat().st_size,
            }
            for graph in graphs
        },
        "precision": "fp32",
        "verification": dict.fromkeys(graphs, 0.0),
        "staging": {"temperature": TEMPERATURE, "transitions": transitions, "prior": [0.2] * len(STAGES)},
        "training": {"note": "made by tests, not trained"},
        "versions": {},
    }


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _random(seed: int, *shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class _Graph:
    """Builds one graph; nodes are added in the order in which they run."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def normalised(self, name: str, output: str) -> str:
        self.add("ReduceL2", [name], f"{name}_length", axes=[-1], keepdims=1)
        return self.add("Div", [name, f"{name}_length"], output)

    def model(self, inputs: dict[str, tuple[int, list[Any]]], outputs: dict[str, list[Any]]) -> ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "fake",
            [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
            [
                helper.make_tensor_value_info(name, TensorProto.INT64 if name == "token" else TensorProto.FLOAT, shape)
                for name, shape in outputs.items()
            ],
            self.constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)


def _signal_encoder() -> ModelProto:
    """Mean magnitude and mean change of each channel, projected: louder and faster epochs lie elsewhere."""
    graph = _Graph()
    count = len(CHANNELS)
    graph.add("Unsqueeze", ["present", graph.constant("last", np.array([2]))], "mask")
    graph.add("Mul", ["signals", "mask"], "seen")
    graph.add("Abs", ["seen"], "magnitude")
    graph.add("ReduceMean", ["magnitude"], "level", axes=[2], keepdims=0)
    for side, bounds in (("a", (0, SAMPLES - LAG)), ("b", (LAG, SAMPLES))):
        graph.constant(f"{side}0", np.array([bounds[0]]))
        graph.constant(f"{side}1", np.array([bounds[1]]))
        graph.add("Slice", ["seen", f"{side}0", f"{side}1", "last"], f"part_{side}")
    graph.add("Sub", ["part_b", "part_a"], "steps")
    graph.add("Abs", ["steps"], "speeds")
    graph.add("ReduceMean", ["speeds"], "speed", axes=[2], keepdims=0)
    graph.add("Concat", ["level", "speed", "present"], "features", axis=1)
    graph.add("MatMul", ["features", graph.constant("embed", _random(1, 3 * count, EMBED))], "raw")
    graph.add("Add", ["raw", graph.constant("bias", np.full(EMBED, EPSILON, np.float32))], "biased")
    graph.normalised("biased", "embedding")
    graph.add("MatMul", ["features", graph.constant("queries", 4 * _random(2, 3 * count, QUERIES * WIDTH))], "flat")
    graph.add("Reshape", ["flat", graph.constant("shape", np.array([-1, QUERIES, WIDTH]))], "waves")
    graph.add("Sin", ["waves"], "decoder_tokens")
    return graph.model(
        {
            "signals": (TensorProto.FLOAT, ["batch", count, SAMPLES]),
            "present": (TensorProto.FLOAT, ["batch", count]),
        },
        {"embedding": ["batch", EMBED], "decoder_tokens": ["batch", QUERIES, WIDTH]},
    )


def _text_encoder(vocab_size: int) -> ModelProto:
    """Mean of random token vectors."""
    graph = _Graph()
    table = _random(3, vocab_size, EMBED)
    table[0] = 0.0
    graph.add("Gather", [graph.constant("table", table), "token_ids"], "rows", axis=0)
    graph.add("ReduceMean", ["rows"], "mean", axes=[1], keepdims=0)
    graph.normalised("mean", "embedding")
    return graph.model({"token_ids": (TensorProto.INT64, ["batch", "length"])}, {"embedding": ["batch", EMBED]})


def _next_tokens(tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Token by variant × domain and position, flattened; the end token goes on for ever."""
    table = np.full((VARIANTS * len(DOMAINS), CONTEXT), tokenizer.end_id, np.int64)
    for row in range(len(table)):
        text = caption_text(row // len(DOMAINS), DOMAINS[row % len(DOMAINS)])
        ids = tokenizer.ids(text)
        table[row, 1 : 1 + len(ids)] = ids
    return table.reshape(-1)


def _decoder_prefill() -> ModelProto:
    """Write variant × domain into the prefix's rows, and copy the epoch's signal tokens to each caption."""
    graph = _Graph()
    for name, value in (("zero", 0), ("one", 1), ("five", VARIANTS)):
        graph.constant(name, np.array([value]))
    graph.add("Gather", ["decoder_tokens", "epoch"], "tokens", axis=0)
    # variant: index of the largest of the first token's first five numbers
    graph.add("Gather", ["tokens", graph.constant("first", np.array(0))], "first_token", axis=1)
    graph.add("Slice", ["first_token", "zero", "five", "one"], "five_numbers")
    graph.add("ArgMax", ["five_numbers"], "variant", axis=1, keepdims=0)
    graph.add("Mul", ["variant", graph.constant("domains", np.array(len(DOMAINS)))], "variant_start")
    graph.add("Add", ["variant_start", "domain"], "row")
    graph.add("Cast", ["row"], "row_number", to=TensorProto.FLOAT)
    graph.add("Reshape", ["row_number", graph.constant("column", np.array([-1, 1, 1, 1]))], "row_cache")
    graph.add("Expand", ["row_cache", graph.constant("prefix", np.array([1, 1, 2, 4]))], "self_k_0")
    graph.add("Identity", ["self_k_0"], "self_v_0")
    graph.add("Unsqueeze", ["tokens", "one"], "cross_k_0")
    graph.add("Identity", ["cross_k_0"], "cross_v_0")
    return graph.model(
        {
            "decoder_tokens": (TensorProto.FLOAT, ["epochs", QUERIES, WIDTH]),
            "domain": (TensorProto.INT64, ["batch"]),
            "epoch": (TensorProto.INT64, ["batch"]),
        },
        {
            **{name: ["batch", 1, 2, 4] for name in ("self_k_0", "self_v_0")},
            **{name: ["batch", 1, QUERIES, WIDTH] for name in ("cross_k_0", "cross_v_0")},
        },
    )


def _decoder_step(tokenizer: Tokenizer) -> ModelProto:
    """Score what follows each token; the caption's number is read from the first row of the self cache.

    A check is built in: as many rows of the text cache before the position must hold tokens as the position says, or
    the graph fails.
    """
    graph = _Graph()
    for name, value in (("zero", 0), ("one", 1), ("two", 2), ("three", 3), ("context", CONTEXT)):
        graph.constant(name, np.array(value))
    for name, value in (("at_0", 0), ("at_1", 1), ("at_2", 2), ("at_3", 3)):
        graph.constant(name, np.array([value]))
    _count_rows(graph)
    graph.add("Cast", ["token_ids"], "numbers", to=TensorProto.FLOAT)
    graph.add("Unsqueeze", ["numbers", graph.constant("outer", np.array([1, 3]))], "column")
    graph.add("Expand", ["column", graph.constant("entry", np.array([1, 1, 1, 4]))], "new")
    for cache, before in (("text", "zero"), ("self", "two")):
        graph.add("Add", ["places", before], f"{cache}_places")
        graph.add("Concat", [_aimed(graph, cache, part) for part in range(3)], f"{cache}_targets", axis=3)
        for part in "kv":
            name = f"{cache}_{part}_0"
            graph.add("ScatterND", [name, f"{cache}_targets", "new"], f"next_{name}")
    graph.add("Gather", ["self_k_0", "zero"], "row_a", axis=3)
    graph.add("Gather", ["row_a", "zero"], "row_b", axis=2)
    graph.add("Cast", ["row_b"], "row", to=TensorProto.INT64)  # (batch, 1)
    graph.add("Mul", ["row", "context"], "row_start")
    graph.add("Add", ["row_start", "checked"], "cell")
    graph.add("Gather", [graph.constant("next_tokens", _next_tokens(tokenizer)), "cell"], "next", axis=0)
    graph.constant("depth", np.array(tokenizer.vocab_size))
    graph.constant("values", np.array([0.0, 8.0], np.float32))
    graph.add("OneHot", ["next", "depth", "values"], "chosen", axis=-1)
    filler = np.zeros(tokenizer.vocab_size, np.float32)
    filler[tokenizer.ids(".")[0]] = 1.0
    graph.add("Add", ["chosen", graph.constant("filler", filler)], "plain_scores")
    graph.add("Unsqueeze", ["token_bias", "at_1"], "bias")
    graph.add("Add", ["plain_scores", "bias"], "logits")
    graph.add("ArgMax", ["logits"], "token", axis=-1, keepdims=0)
    graph.add("Softmax", ["logits"], "chances", axis=-1)
    graph.add("ReduceMax", ["chances"], "chance", axes=[-1], keepdims=0)
    return _step_model(graph, tokenizer)


def _count_rows(graph: _Graph) -> None:
    """Add the place of each token, and `checked`, the place of what follows it, far out of range without a cache."""
    graph.add("Shape", ["token_ids"], "sizes")
    graph.add("Gather", ["sizes", "one"], "width", axis=0)
    graph.add("Range", ["zero", "width", "one"], "offsets")
    graph.add("Unsqueeze", ["position", "at_1"], "position_column")
    graph.add("Add", ["position_column", "offsets"], "places")
    graph.add("Gather", ["text_k_0", "zero"], "text_a", axis=3)
    graph.add("Gather", ["text_a", "zero"], "text_b", axis=1)  # (batch, row)
    graph.add("Shape", ["text_b"], "text_sizes")
    graph.add("Gather", ["text_sizes", "one"], "text_rows", axis=0)
    graph.add("Range", ["zero", "text_rows", "one"], "row_numbers")
    graph.add("Less", ["row_numbers", "position_column"], "before")
    graph.add("Greater", ["text_b", graph.constant("nothing", np.array(0, np.float32))], "held")
    graph.add("And", ["before", "held"], "kept")
    graph.add("Cast", ["kept"], "kept_numbers", to=TensorProto.INT64)
    graph.add("ReduceSum", ["kept_numbers", "at_1"], "count", keepdims=1)
    graph.add("Sub", ["count", "position_column"], "surplus")  # 0 where the cache is whole
    graph.add("Mul", ["surplus", graph.constant("far", np.array(10**6))], "penalty")
    graph.add("Add", ["places", "one"], "following")
    graph.add("Min", ["following", graph.constant("last", np.array(CONTEXT - 1))], "inside")
    graph.add("Add", ["inside", "penalty"], "checked")


def _aimed(graph: _Graph, cache: str, part: int) -> str:
    """Add the batch (0), head (1) or row (2) of each written entry, `[B, 1, T, 1]`."""
    name = f"{cache}_aim_{part}"
    graph.add("Unsqueeze", [f"{cache}_places", graph.constant(f"{name}_axes", np.array([1, 3]))], f"{name}_places")
    if part == 2:
        return f"{name}_places"
    graph.add("Mul", [f"{name}_places", "zero"], f"{name}_zeros")
    if part == 1:
        return f"{name}_zeros"
    graph.add("Gather", ["sizes", "zero"], f"{name}_count", axis=0)
    graph.add("Range", ["zero", f"{name}_count", "one"], f"{name}_range")
    graph.add("Reshape", [f"{name}_range", graph.constant(f"{name}_shape", np.array([-1, 1, 1, 1]))], f"{name}_column")
    return graph.add("Add", [f"{name}_zeros", f"{name}_column"], f"{name}_rows")


def _step_model(graph: _Graph, tokenizer: Tokenizer) -> ModelProto:
    grown = {name: ["batch", 1, f"{name[:4]}_rows", 4] for name in ("text_k_0", "text_v_0", "self_k_0", "self_v_0")}
    caches: dict[str, tuple[int, list[Any]]] = {name: (TensorProto.FLOAT, shape) for name, shape in grown.items()}
    caches |= {name: (TensorProto.FLOAT, ["batch", 1, QUERIES, WIDTH]) for name in ("cross_k_0", "cross_v_0")}
    inputs: dict[str, tuple[int, list[Any]]] = {
        "token_ids": (TensorProto.INT64, ["batch", "tokens"]),
        "position": (TensorProto.INT64, ["batch"]),
        "token_bias": (TensorProto.FLOAT, ["bias_rows", tokenizer.vocab_size]),
    }
    outputs = {
        "logits": ["batch", "tokens", tokenizer.vocab_size],
        "token": ["batch", "tokens"],
        "chance": ["batch", "tokens"],
        **{f"next_{name}": shape for name, shape in grown.items()},
    }
    return graph.model(inputs | caches, outputs)
