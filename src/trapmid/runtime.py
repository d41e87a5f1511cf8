"""Where a computation runs, how precisely, and which random numbers it sees."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)
Result = TypeVar("Result")

Precision = Literal["auto", "fp32", "bf16"]
"""What a params.yaml may ask for; `choose_precision` makes of it what a `Runtime` works in."""

PRECISIONS = ("fp32", "bf16")
_BF16_CPUS = ("amx_bf16", "avx512_bf16")
_ONEDNN = {  # dnnl_cpu_isa_t, the lowest first, and what torch calls the features of each
    "SSE41": ("sse4_1",),
    "AVX": ("avx",),
    "AVX2": ("avx2",),
    "AVX2_VNNI": ("avx2", "avx_vnni"),
    "AVX2_VNNI_2": ("avx2", "avx_vnni", "avx_vnni_int8", "avx_ne_convert"),
    "AVX512_CORE": ("avx512_f", "avx512_bw", "avx512_vl", "avx512_dq"),
    "AVX512_CORE_VNNI": ("avx512_f", "avx512_vnni"),
    "AVX512_CORE_BF16": ("avx512_vnni", "avx512_bf16"),
    "AVX10_1_512": ("avx512_bf16", "avx512_fp16", "avx_vnni"),
    "AVX10_1_512_AMX": ("avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
    "AVX10_1_512_AMX_FP16": ("avx512_fp16", "amx_tile", "amx_bf16", "amx_fp16"),
}
_ONEDNN_OLDER = {
    "AVX512_CORE_FP16": "AVX10_1_512",
    "AVX512_CORE_AMX": "AVX10_1_512_AMX",
    "AVX512_CORE_AMX_FP16": "AVX10_1_512_AMX_FP16",
}
_MASK_63 = (1 << 63) - 1


def choose_device(name: str | None = None) -> torch.device:
    """The device to run on: `name`, else `TRAPMID_DEVICE`, else CUDA, Apple MPS, CPU in that order.

    Raises:
        ValueError: the name is not a device of this machine.
    """
    wanted = name or os.environ.get("TRAPMID_DEVICE") or "auto"
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available.get(wanted.split(":")[0], False):
        here = ", ".join(["auto", *(kind for kind, there in available.items() if there)])
        raise ValueError(f"TRAPMID_DEVICE: {wanted!r} is not available here; choose one of {here}")
    try:
        device = torch.device(wanted)
    except RuntimeError:  # cuda:x
        raise ValueError(f"TRAPMID_DEVICE: {wanted!r} is no device; e.g. cuda:0") from None
    if device.type == "cuda" and (device.index or 0) >= (count := torch.cuda.device_count()):
        raise ValueError(
            f"TRAPMID_DEVICE: {wanted!r} is not here; the last GPU is cuda:{count - 1}"
        )
    return device


def choose_precision(wanted: str, device: torch.device) -> str:
    """The precision to work in on `device`: a named one is obeyed, "auto" is bf16 where it pays.

    Measured on two cores, one epoch of the laptop profile's target in bf16 against fp32: 0.67 s
    against 1.02 s with AVX512_BF16, but 11.8 s against 1.0 s where a processor without bf16
    arithmetic emulates it. So "auto" asks the hardware, never a clock: a busy machine decides the
    same as an idle one, and a study's numbers do not hang on it.
    """
    if wanted != "auto":
        return wanted
    return "bf16" if bf16_is_native(device) else "fp32"


def bf16_is_native(device: torch.device) -> bool:
    """Whether `device` multiplies matrices in bf16 without emulation.

    On a CPU oneDNN multiplies, and `ONEDNN_MAX_CPU_ISA` may forbid it what the processor has.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    level = os.environ.get("ONEDNN_MAX_CPU_ISA", "ALL").upper()
    allowed = level in ("ALL", "DEFAULT") or any(w in level for w in ("BF16", "FP16", "AMX"))
    has = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return allowed and any(has.get(name, False) for name in _BF16_CPUS)


def onednn_level() -> str:
    """The highest of oneDNN's instruction sets that this processor has and oneDNN may use.

    It decides the last bits of convolutions and matrix products, as torch's own capability does of
    everything else. oneDNN says it only in its log, so its rule is repeated here: the processor's
    level, or the lower one of `ONEDNN_MAX_CPU_ISA`; a name that it does not know is no bound.
    Empty: the processor is not of the x86 family, or torch is too old to say what it has.
    """
    has = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    names = list(_ONEDNN)
    reached = [name for name, needs in _ONEDNN.items() if all(map(has.get, needs))]
    if not reached:
        return ""
    bound = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA", "")
    bound = _ONEDNN_OLDER.get(bound.upper(), bound.upper())
    last = names.index(bound) if bound in names else len(names)
    return [name for name in reached if names.index(name) <= last][-1]


def stream_seed(seed: int, *scope: object) -> int:
    """A 63-bit seed for the random stream that `scope` names, independent of every other scope."""
    text = "/".join([str(seed), *(str(part) for part in scope)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") & _MASK_63


def counter_uniform(keys: Tensor, count: int) -> Tensor:
    """Uniform numbers in [0, 1) that depend on their key alone.

    A row gets the same numbers in any batch, any order and on any device: this is what makes an
    attack's result independent of its batch size. The mixer is SplitMix64 (Steele et al., 2014).

    Args:
        keys: (N,) int64, one key per row, e.g. made by `stream_seed`.
        count: how many numbers per row.

    Returns:
        (N, count) float32.
    """
    golden, first, second = -7046029254386353131, -4658895280553007687, -7723592293110705685
    index = torch.arange(1, count + 1, device=keys.device, dtype=torch.int64)
    bits = keys[:, None] + index * golden  # int64 arithmetic wraps, as the mixer wants
    bits = (bits ^ _shift_right(bits, 30)) * first
    bits = (bits ^ _shift_right(bits, 27)) * second
    bits = bits ^ _shift_right(bits, 31)
    return _shift_right(bits, 40).to(torch.float32) * 2.0**-24


def counter_normal(keys: Tensor, count: int) -> Tensor:
    """Standard normal numbers that depend on their key alone; shape as `counter_uniform`."""
    uniform = counter_uniform(keys, 2 * count)
    radius = torch.sqrt(-2.0 * torch.log1p(-uniform[:, :count]))  # 1 - u > 0: never log(0)
    return radius * torch.cos(2.0 * torch.pi * uniform[:, count:])


def _shift_right(bits: Tensor, by: int) -> Tensor:
    return (bits >> by) & ((1 << (64 - by)) - 1)  # torch shifts int64 arithmetically


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """The device, the seed and the precision of one run; made by a stage and handed down."""

    device: torch.device
    seed: int
    precision: str

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision: {self.precision!r} is not one of {', '.join(PRECISIONS)}")

    @contextmanager
    def seeded(self, *scope: object) -> Iterator[None]:
        """Runs the block under the random stream named by `scope`; the old state comes back.

        The streams of other devices than this runtime's stay as they are.
        """
        stream = Stream(self.device)
        before = stream.state_dict()
        try:
            stream.seed(stream_seed(self.seed, *scope))
            yield
        finally:
            stream.load_state_dict(before)

    def generator(self, *scope: object) -> torch.Generator:
        """A CPU generator of its own for the stream named by `scope`."""
        return torch.Generator().manual_seed(stream_seed(self.seed, *scope))

    def place(self, module: Module) -> Module:
        """`module` on the device, its kernels laid out as the device computes them fastest.

        On a CPU that is channels last: a training step of the laptop profile's target takes 1.4 to
        1.8 times less (AVX2, two cores). On a GPU it is so in bf16: of the paper's VGG16 1.36 times
        less with Trap-MID, 1.09 times without a defence (H100); in fp32 nobody measured it alone.
        The layout is memory's affair: shapes stay as they are.
        """
        module = module.to(self.device)
        if self.device.type == "cpu" or (self.device.type == "cuda" and self.precision == "bf16"):
            module = module.to(memory_format=torch.channels_last)
        return module

    def autocast(self) -> AbstractContextManager[object]:
        """bf16 autocast where the precision asks for it, nothing otherwise."""
        if self.precision == "bf16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()


class Stream:
    """Torch's global generators of the CPU and of one device, and of no other.

    As a part of a saved state: what goes on draws what is next.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def state_dict(self) -> dict[str, Tensor]:
        state = {"cpu": torch.get_rng_state()}
        if self._device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self._device)
        elif self._device.type == "mps":
            state["mps"] = torch.mps.get_rng_state()
        return state

    def load_state_dict(self, state_dict: dict[str, Tensor]) -> None:
        torch.set_rng_state(state_dict["cpu"])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(state_dict["cuda"], self._device)
        elif self._device.type == "mps":
            torch.mps.set_rng_state(state_dict["mps"])

    def seed(self, seed: int) -> None:
        """As `torch.manual_seed`, which would seed every GPU of the machine, too."""
        torch.default_generator.manual_seed(seed)
        if self._device.type == "cuda":
            with torch.cuda.device(self._device):
                torch.cuda.manual_seed(seed)
        elif self._device.type == "mps":
            torch.mps.manual_seed(seed)


def in_parts(rows: int, at_once: int, work: Callable[[slice], Result]) -> list[Result]:
    """What `work` makes of `rows` rows, at most `at_once` of them at a time.

    Where a GPU's memory is full, the same rows are asked for again, half as many at once, and so
    are all after them: a warning says so. For work whose rows do not depend on each other.

    Raises:
        torch.cuda.OutOfMemoryError: one row alone does not fit.
    """
    done: list[Result] = []
    start = 0
    while start < rows:
        part = slice(start, min(start + at_once, rows))
        try:
            done.append(work(part))
        except torch.cuda.OutOfMemoryError:
            if at_once == 1:
                raise
            at_once = min(at_once, rows) // 2 or 1
            text = f"the GPU's memory is full: goes on with {at_once} images at once"
            warnings.warn(text, stacklevel=2)
            continue
        start = part.stop
    return done


@contextmanager
def eval_mode(*modules: nn.Module) -> Iterator[None]:
    """Puts the modules into eval mode for the block, then gives every submodule its mode back."""
    modes = [(part, part.training) for module in modules for part in module.modules()]
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Parameters of the modules take no gradient inside the block."""
    flags = [(p, p.requires_grad) for module in modules for p in module.parameters()]
    for parameter, _ in flags:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, flag in flags:
            parameter.requires_grad_(flag)
