import pytest

from detkds_gp.execution import Fault
from detkds_gp.execution._base import attempt, is_out_of_memory


def test_result_passes_through():
    assert attempt(lambda: 42) == 42


def test_error_carries_one_line_and_the_place_it_came_from():
    def fails():
        raise KeyError("neck.fpn")

    fault = attempt(fails)
    assert isinstance(fault, Fault)
    assert fault.kind == "error"
    first, *trace = fault.detail.splitlines()
    assert first == "KeyError: 'neck.fpn'"
    assert any("in fails" in line for line in trace)
    assert fault.wall_seconds >= 0


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("size of tensor a (3) must match"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error, expected):
    assert is_out_of_memory(error) is expected


def test_torch_really_reports_memory_as_expected():
    torch = pytest.importorskip("torch")
    fault = attempt(lambda: torch.empty(2**60, dtype=torch.uint8))
    assert isinstance(fault, Fault)
    assert fault.kind == "out_of_memory"
    assert "\n" not in fault.detail
    assert issubclass(torch.cuda.OutOfMemoryError, RuntimeError)
    assert is_out_of_memory(torch.cuda.OutOfMemoryError("tried to allocate 20 MiB"))


def test_interrupt_is_no_fault():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt(interrupted)
