"""Networks beside what their devices reach: ratios from known numbers, the record and the table."""

import io
from collections.abc import Iterator
from dataclasses import replace

import pytest
from places import GOLDENS

from vithybrid_cli.bench import limits_table
from vithybrid_cli.bench.benchmark import benchmark
from vithybrid_cli.bench.limits import Limit, Limits, Operations, Reached
from vithybrid_cli.bench.machine import Machine
from vithybrid_cli.bench.material import Material, Plan, prepared
from vithybrid_cli.bench.measurements import OURS, Part, Subject, Timing
from vithybrid_cli.bench.reach import Reach
from vithybrid_cli.bench.result import BenchResult
from vithybrid_cli.bench.table import print_bench
from vithybrid_cli.bench.turns import Log
from vithybrid_cli.engines.openvino_graph import is_native
from vithybrid_cli.errors import UsageError

PLAN = Plan(
    parts=(Part.NETWORK,),
    engines=("torch",),
    dtypes=("float32",),
    batches=(2,),
    device="cpu",
    workers=1,
    repeats=1,
    seconds=0.0,
    limits=True,
)
TORCH, OPENVINO = (Subject(Part.NETWORK, OURS, engine, "bfloat16", 2) for engine in ("torch", "openvino"))
PRODUCT, CONVOLUTIONS = (Limit(kind, "cpu", "bfloat16", 2) for kind in (Operations.PRODUCT, Operations.CONVOLUTIONS))
SQUARE = Reached(4e12, ("2048³",))
OWN = Reached(2e12, ("3×3 convolution of 64 to 64 channels, 96×96",), 0.18)
KNOWN = Limits(
    flop=10**11,
    beside={TORCH: (PRODUCT, CONVOLUTIONS), OPENVINO: (PRODUCT, CONVOLUTIONS)},
    turns=[{TORCH: Timing(1.0, 10), OPENVINO: Timing(1.0, 5)}, {TORCH: Timing(2.0, 10)}, {}],
    limit_turns=[{PRODUCT: SQUARE, CONVOLUTIONS: OWN}, {PRODUCT: replace(SQUARE, flop_per_second=1e12)}, {}],
    errors={CONVOLUTIONS: "It broke."},
)


def silent() -> Log:
    return Log(lambda text: None, lambda text: None)


@pytest.fixture(autouse=True)
def small_and_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Matrices and runs that tell nothing about the machine, which nobody asks here."""
    monkeypatch.setattr("vithybrid_cli.bench.reach.SIDES", {"cpu": (64, 128)})
    monkeypatch.setattr("vithybrid_cli.bench.reach.SHORTEST_RUN", 1e-4)


@pytest.fixture(scope="module")
def material() -> Iterator[Material]:
    golden = GOLDENS / "hf-hybrid-small"
    with prepared(str(golden), golden, [], 2, silent()) as found:
        yield found


def test_a_ratio_is_the_network_s_operations_a_second_by_those_of_the_limit_within_each_turn() -> None:
    assert {(ratio.subject, ratio.limit): ratio.spread.values for ratio in KNOWN.ratios} == {
        (TORCH, PRODUCT): (0.25, 0.5),
        (TORCH, CONVOLUTIONS): (0.5,),
        (OPENVINO, PRODUCT): (0.125,),
        (OPENVINO, CONVOLUTIONS): (0.25,),
    }


def test_the_record_has_names_and_units() -> None:
    record = KNOWN.record()
    spread = {"median": 7.5e11, "min": 5e11, "max": 1e12, "values": [1e12, 5e11]}
    of_torch = {"part": "network", "program": "vithybrid", "engine": "torch", "dtype": "bfloat16", "batch": 2}
    assert record["flop_per_image"] == 10**11
    assert record["networks"][0] == {**of_torch, "flop_per_second": spread}
    assert record["limits"] == [
        {
            "operations": "matrix product",
            "device": "cpu",
            "dtype": "bfloat16",
            "batch": 2,
            "flop_per_second": {"median": 2.5e12, "min": 1e12, "max": 4e12, "values": [4e12, 1e12]},
            "share_of_network": None,
            "shapes": ["2048³"],
            "error": None,
        },
        {
            "operations": "convolutions",
            "device": "cpu",
            "dtype": "bfloat16",
            "batch": 2,
            "flop_per_second": {"median": 2e12, "min": 2e12, "max": 2e12, "values": [2e12]},
            "share_of_network": 0.18,
            "shapes": ["3×3 convolution of 64 to 64 channels, 96×96"],
            "error": "It broke.",
        },
    ]
    first = {**of_torch, "operations": "matrix product"}
    assert record["ratios"][0] == {**first, "ratio": {"median": 0.375, "min": 0.25, "max": 0.5, "values": [0.25, 0.5]}}


def test_the_table_has_a_line_for_each_limit_below_its_network() -> None:
    assert list(limits_table.rows(KNOWN)) == [
        ("vithybrid torch bfloat16", "2", "750", "", ""),
        ("  matrix product, 2048³", "", "2,500", "0.375 ×", "0.250–0.500"),
        ("  convolutions, 18 % of it", "", "2,000", "0.500 ×", "0.500–0.500"),
        ("vithybrid openvino bfloat16", "2", "500", "", ""),
        ("  matrix product, 2048³", "", "2,500", "0.125 ×", "0.125–0.125"),
        ("  convolutions, 18 % of it", "", "2,000", "0.250 ×", "0.250–0.250"),
    ]


def result_with(limits: Limits) -> BenchResult:
    return BenchResult(
        command="the command",
        model="tiny",
        image_size=(64, 64),
        pictures=1,
        picture_bytes=1000,
        own_pictures=True,
        plan=PLAN,
        machine=Machine("a processor", 2, None, "a system"),
        software={},
        turns=limits.turns,
        errors={},
        complete=True,
        limits=limits,
    )


def test_a_screen_of_eighty_columns_has_each_line_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stream = io.StringIO()
    print_bench(stream, result_with(KNOWN))
    lines = [" ".join(line.split()) for line in stream.getvalue().splitlines()]
    assert "Limits of the device; a picture is 100 GFLOP" in lines
    assert "vithybrid openvino bfloat16 2 500" in lines
    assert "convolutions, 18 % of it 2,000 0.250 × 0.250–0.250" in lines
    assert lines[-2:] == ["Not measured", "limit of cpu, convolutions in bfloat16 It broke."]


def test_what_no_network_was_measured_for_is_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    print_bench(stream, result_with(replace(KNOWN, turns=[{}], limit_turns=[{PRODUCT: SQUARE}], errors={})))
    assert "Limits" not in stream.getvalue()


def test_limits_are_measured_in_the_turns_of_the_networks(material: Material) -> None:
    result = benchmark(replace(PLAN, repeats=2, batches=(1, 2)), material, silent(), "")
    assert result.limits is not None
    found = [[(limit.operations, limit.batch) for limit in turn] for turn in result.limits.limit_turns]
    kinds = (Operations.PRODUCT, Operations.CONVOLUTIONS, Operations.LINEARS)
    assert found == [[(kind, batch) for kind in kinds] for batch in (1, 1, 2, 2)]
    assert [len(ratio.spread.values) for ratio in result.limits.ratios] == [2] * 6
    record = result.record()["limits"]
    assert record["flop_per_image"] > 0
    assert sum(limit["share_of_network"] or 0 for limit in record["limits"]) / 2 < 1


def test_engines_of_one_type_share_their_limits(material: Material) -> None:
    plan = replace(PLAN, engines=("torch", "openvino"), dtypes=("float32", "bfloat16"))
    limits = benchmark(plan, material, silent(), "").limits
    assert limits is not None
    networks = 4 if is_native("bfloat16") else 3  # OpenVINO refuses a type that the processor does not compute in
    assert len(limits.networks) == networks
    assert [limit.dtype for limit in limits.limit_turns[0]] == ["float32"] * 3 + ["bfloat16"] * 3
    assert len(limits.ratios) == networks * 3


def test_without_being_asked_for_there_are_none(material: Material) -> None:
    result = benchmark(replace(PLAN, limits=False), material, silent(), "")
    assert (result.limits, result.record()["limits"]) == (None, None)


def test_a_limit_that_cannot_be_measured_is_told_and_the_network_is_measured(
    material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(reach: Reach) -> Reached:
        raise UsageError("It broke.")

    monkeypatch.setattr(Reach, "measure", fail)
    complaints: list[str] = []
    result = benchmark(PLAN, material, Log(lambda text: None, complaints.append), "")
    assert len(result.turns[0]) == 1
    assert result.limits is not None
    assert result.limits.ratios == []
    assert complaints[0] == "limit of cpu, matrix product in float32: It broke."
    assert [limit["error"] for limit in result.record()["limits"]["limits"]] == ["It broke."] * 3


def test_limits_without_networks_are_refused(material: Material) -> None:
    with pytest.raises(UsageError, match="which is not to be measured"):
        benchmark(replace(PLAN, parts=(Part.DECODE, Part.WHOLE)), material, silent(), "")
