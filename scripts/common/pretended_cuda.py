"""A GPU that torch believes in, on a machine without one: what code does with devices can be tested there.

A ``PretendedTensor`` says that it is on ``cuda:0`` and holds a tensor that is computed with. Like a tensor of CUDA it
refuses to be mixed with one of the CPU (unless that is a single number), and to show its memory. What moves data
between the two, or has the CPU wait for the device, is counted.

To torch's C++ the tensor is on the device ``meta``: one that claimed CUDA there would have autograd ask the driver for
a stream. All that is made for ``meta`` while pretending is therefore pretended to be on the GPU.

Compiled code for the GPU cannot run; ``pretending`` is told what to answer in place of its functions.
"""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

CUDA = torch.device("cuda", 0)
META, CPU = torch.device("meta"), torch.device("cpu")
PACKAGE = "proto_saga_ns"

Answer = Callable[..., Any]
"""What a function of compiled code for the GPU returns; takes what the pretended tensors hold."""
Direction = Literal["to the GPU", "from the GPU"]


@dataclass(frozen=True)
class Transfer:
    """A copy between main memory and the GPU; one from the GPU has the CPU wait for all that was asked of it before.

    Attributes:
        operation: of torch, that caused it.
        place: the line of this package that did, as ``folder/file.py:line``; that of another if it was none of ours.
        is_ours: whether a line of this package called torch, and not a library that it had called.
    """

    direction: Direction
    operation: str
    place: str
    is_ours: bool


@dataclass
class Transfers:
    """How often each transfer happened."""

    counts: Counter[Transfer] = field(default_factory=Counter)

    def count(self, direction: Direction, *, ours: bool = False) -> int:
        """All of one direction, or those by lines of this package alone."""
        wanted = (found for found in self.counts if found.direction == direction and (found.is_ours or not ours))
        return sum(self.counts[found] for found in wanted)

    def add(self, direction: Direction, operation: object) -> None:
        """Called where torch is asked."""
        self.counts[Transfer(direction, str(operation), *_asking_line())] += 1

    def __str__(self) -> str:
        lines = (f"{n:4d} {t.direction} {t.operation} at {t.place}" for t, n in self.counts.most_common())
        return "\n".join(lines)


def _asking_line() -> tuple[str, bool]:
    """The innermost line of this package, or else of a library that is not torch; and whether it called torch."""
    frame, library = sys._getframe(1), ""
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        if PACKAGE in file.parts:
            place = "/".join(file.parts[len(file.parts) - file.parts[::-1].index(PACKAGE) :])
            return f"{place}:{frame.f_lineno}", not library
        if not library and not {"torch", "common", "contextlib.py"} & {*file.parts}:
            library = f"{file.parent.name}/{file.name}:{frame.f_lineno}"
        frame = frame.f_back
    return library or "?", False


class PretendedTensor(torch.Tensor):
    """Says that it is on ``cuda:0``.

    Attributes:
        held: of the CPU; or of the device meta, without data, where only sizes matter.
    """

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> PretendedTensor:
        return torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), dtype=held.dtype, device=META, requires_grad=False
        )

    def __init__(self, held: Tensor) -> None:
        self.held = held.detach()
        _now.watch(self.held)

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"PretendedTensor({self.held!r})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.held.clone().__reduce_ex__(protocol)  # as nerfstudio loads it: for the CPU

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _function(func, args, kwargs or {})

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _dispatch(func, args, kwargs or {})


@dataclass
class _Pretence:
    """What holds while pretending."""

    transfers: Transfers = field(default_factory=Transfers)
    without_data: bool = False
    answers: Mapping[Any, Answer] = field(default_factory=dict)
    watch: Callable[[Tensor], object] = lambda held: None


_now = _Pretence()


def held(tensor: Any) -> Any:
    """What a pretended tensor holds; anything else as it is."""
    return tensor.held if type(tensor) is PretendedTensor else tensor


def pretended(tensor: Any) -> Any:
    """A tensor as one on the GPU; anything else as it is."""
    return PretendedTensor(tensor) if isinstance(tensor, Tensor) and type(tensor) is not PretendedTensor else tensor


def _wait(operation: object) -> None:
    _now.transfers.add("from the GPU", operation)


# --- What Python asks torch -------------------------------------------------------------------------------------------

_tensor: Any = torch.Tensor
_PROPERTIES: dict[Any, Any] = {
    _tensor.device.__get__: CUDA,
    _tensor.is_cuda.__get__: True,
    _tensor.is_cpu.__get__: False,
    _tensor.is_meta.__get__: False,
    _tensor.get_device: 0,
}
_REFUSED = ("numpy", "__array__", "data_ptr", "untyped_storage", "storage", "pin_memory", "share_memory_")
_FROM_DATA = (torch.tensor, torch.as_tensor, torch.asarray)
_OF_PYTHON = {torch.Tensor.tolist, torch.Tensor.__format__}
"""Look at the memory of a tensor."""


def _function(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if func is torch.device:
        return func(*args, **kwargs)
    first = args[0] if args else None
    name = getattr(func, "__name__", str(func))
    if type(first) is PretendedTensor:
        if func in _PROPERTIES:
            return _PROPERTIES[func]
        if name in _REFUSED:
            raise TypeError(f"can't convert cuda:0 device type tensor to numpy, nor show its memory ({name})")
        if func in _OF_PYTHON:
            _wait(name)
            return func(first.held, *args[1:])
        if func is torch.Tensor.__deepcopy__:
            return _copied(first)
        if func is torch.Tensor.new_tensor:
            return _from_data(torch.tensor, args[1:], {"dtype": first.dtype, **kwargs, "device": CUDA})
        if name in ("__getitem__", "__setitem__"):
            args = (first, _index(args[1]), *args[2:])
    if func == _tensor.data.__set__:
        return _replace(args[0], args[1])
    if func is torch.Tensor.cuda:
        func, args, kwargs = torch.Tensor.to, (first, META), {}
    if func in _FROM_DATA and (type(first) is PretendedTensor or _is_gpu(kwargs.get("device"))):
        return _from_data(func, args, kwargs)
    if func is torch.Tensor.pin_memory:
        return first
    generator = kwargs.get("generator")
    if generator is not None and _is_gpu(kwargs.get("device")):
        raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
    with torch._C.DisableTorchFunctionSubclass():
        return func(*map(_off_gpu, args), **{name: _off_gpu(value) for name, value in kwargs.items()})


def _is_gpu(device: Any) -> bool:
    if isinstance(device, str):
        return device.partition(":")[0] == "cuda"
    return isinstance(device, torch.device) and device.type == "cuda"


def _off_gpu(value: Any) -> Any:
    return META if _is_gpu(value) else value


def _index(index: Any) -> Any:
    """C++ would make tensors of lists on the tensor's own device, where nothing is held."""
    if isinstance(index, tuple):
        return tuple(map(_index, index))
    return torch.as_tensor(index) if isinstance(index, list | np.ndarray) else index


def _from_data(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``torch.tensor`` and its like, of a pretended tensor or for the GPU."""
    data, device = args[0], kwargs.pop("device", None)
    stays = device is None and type(data) is PretendedTensor
    wanted = META if stays or _is_gpu(device) else device or CPU
    wants_gradient = kwargs.pop("requires_grad", False)
    if not isinstance(data, Tensor):
        data = tree_map(lambda value: value.item() if type(value) is PretendedTensor else value, data)
        data = func(data, *args[1:], **kwargs)
    with torch._C.DisableTorchFunctionSubclass():
        made = data.to(device=wanted, dtype=kwargs.get("dtype") or data.dtype, copy=func is torch.tensor)
    return made.requires_grad_() if wants_gradient else made


def _copied(tensor: PretendedTensor) -> PretendedTensor:
    copy = PretendedTensor(tensor.held.clone())
    copy.requires_grad_(tensor.requires_grad)
    if isinstance(tensor, torch.nn.Parameter):
        copy._is_param = True  # type: ignore[attr-defined]
    return copy


def _replace(target: Tensor, new: Tensor) -> None:
    """``target.data = new``."""
    if (type(target) is PretendedTensor) != (type(new) is PretendedTensor):
        raise RuntimeError("Attempted to call `variable.set_data(tensor)`, but the tensors are on different devices")
    with torch._C.DisableTorchFunctionSubclass():
        _tensor.data.__set__(target, new)
    if isinstance(target, PretendedTensor):
        target.held = held(new)


class _Functions(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # Functions in Python ask again for what they call.
        if hasattr(func, "__code__") and not any(type(leaf) is PretendedTensor for leaf in tree_leaves((args, kwargs))):
            return func(*args, **kwargs or {})
        return _function(func, args, kwargs or {})


# --- What is computed -------------------------------------------------------------------------------------------------

aten = torch.ops.aten
_WAITS = {
    *(aten._local_scalar_dense.default, aten.is_nonzero.default, aten.equal.default),
    *(aten.nonzero.default, aten.masked_select.default, aten.bincount.default, aten.repeat_interleave.Tensor),
    *(aten._unique2.default, aten.unique_dim.default, aten.unique_consecutive.default),
    *(aten._linalg_eigh.default, aten._linalg_svd.default, aten.masked_scatter.default),
}
"""Whose results the CPU needs to go on, or that have as many elements as only the device knows."""
_INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}
_COPYING = {aten.copy_.default, aten._to_copy.default}


def _dispatch(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    ours = any(type(tensor) is PretendedTensor for tensor in tensors)
    device = kwargs.get("device")
    if not ours and (device is None or torch.device(device).type != "meta"):
        return func(*args, **kwargs)
    _check_devices(func, args, tensors)
    _count(func, args, kwargs)
    if device is not None:
        kwargs = {**kwargs, "device": META if _now.without_data else CPU, "pin_memory": False}
    answer = _now.answers.get(func, func)
    given, named = tree_map(held, (args, kwargs))
    if _now.without_data:
        given = tree_map(lambda value: value.to(META) if isinstance(value, Tensor) and value.ndim else value, given)
    found = answer(*given, **named)
    if func is aten._to_copy.default and device is not None and torch.device(device).type == "cpu":
        return torch.zeros(found.shape, dtype=found.dtype) if _now.without_data else found.clone()
    return _returned(func, args, kwargs, found)


def _returned(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], found: Any) -> Any:
    """What an operation gives to its caller: pretended tensors, or the argument that it has changed."""
    if "out" in kwargs:
        return kwargs["out"]
    if not func._schema.is_mutable or func._schema.name[-1] != "_":
        return tree_map(pretended, found)
    target = args[0]
    if type(target) is PretendedTensor and target.held.shape != target.shape:  # unsqueeze_ and its like
        _replace(target, PretendedTensor(target.held))
    return target


def _check_devices(func: Any, args: tuple[Any, ...], tensors: list[Tensor]) -> None:
    """As torch does: one number may be of the CPU, the places of an index as well."""
    foreign = [tensor for tensor in tensors if type(tensor) is not PretendedTensor and tensor.ndim > 0]
    if not foreign or func in _COPYING:
        return
    if func in _INDEXING and type(args[0]) is PretendedTensor:
        value = args[2] if len(args) > 2 else None
        foreign = [value] if isinstance(value, Tensor) and type(value) is not PretendedTensor and value.ndim else []
    if foreign:
        names = ("cuda" if type(tensor) is PretendedTensor else "cpu" for tensor in tensors)
        where = ", ".join(f"{name}{tuple(tensor.shape)}" for name, tensor in zip(names, tensors, strict=True))
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! {func}: "
            f"{where}"
        )


def _count(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if func in _WAITS:
        _wait(func)
    elif func in _INDEXING:
        indices = [index for index in args[1] if isinstance(index, Tensor)]
        if any(index.dtype in (torch.bool, torch.uint8) for index in indices):
            _wait(f"{func} with a mask")
        if any(type(index) is not PretendedTensor and index.ndim for index in indices):
            _now.transfers.add("to the GPU", f"{func} with places of the CPU")
    elif func in _COPYING:
        target = kwargs.get("device") if func is aten._to_copy.default else args[0].device
        source = args[0] if func is aten._to_copy.default else args[1]
        if type(source) is PretendedTensor and target is not None and torch.device(target).type == "cpu":
            _wait(func)
        elif type(source) is not PretendedTensor and (target is None or torch.device(target).type != "cpu"):
            _now.transfers.add("to the GPU", func)


class _Operations(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _dispatch(func, args, kwargs or {})


# --- Pretending -------------------------------------------------------------------------------------------------------


def device_function(answer: Answer) -> Answer:
    """A function of compiled code for the GPU: refuses tensors of the CPU, and is answered."""

    def call(*args: Any, **kwargs: Any) -> Any:
        for leaf in tree_leaves((args, kwargs)):
            if isinstance(leaf, Tensor) and type(leaf) is not PretendedTensor:
                raise RuntimeError(f"{answer}: a tensor {tuple(leaf.shape)} of the CPU, expected one of CUDA")
        with torch._C._DisableTorchDispatch(), torch._C.DisableTorchFunction():
            found = answer(*tree_map(held, args), **tree_map(held, kwargs))
        return tree_map(pretended, found)

    return call


@contextmanager
def pretending(
    functions: Mapping[str, Answer],
    operations: Mapping[Any, Answer] | None = None,
    without_data: bool = False,
    watch: Callable[[Tensor], object] = lambda held: None,
) -> Iterator[Transfers]:
    """Let torch have a GPU.

    Args:
        functions: by the full names of functions of compiled code (``gsplat.csrc.isect_tiles``), what they answer.
            Modules that cannot be imported here are made up of them.
        operations: the same for operations of torch itself.
        without_data: hold sizes alone; then ``operations`` must answer what depends on values.
        watch: is shown what each pretended tensor holds.

    Yields:
        What is transferred, as it happens.
    """
    global _now
    before, _now = _now, _Pretence(Transfers(), without_data, operations or {}, watch)
    overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    with ExitStack() as stack:
        for patch in _gpu_that_is_there():
            stack.enter_context(patch)
        for name, answer in functions.items():
            stack.enter_context(_answered(name, answer))
        stack.enter_context(_Operations())
        stack.enter_context(_Functions())
        try:
            yield _now.transfers
        finally:
            _now = before
            torch.__future__.set_overwrite_module_params_on_conversion(overwrite)


def _gpu_that_is_there() -> Iterator[Any]:
    """Patches of what torch says of its GPUs."""
    says: dict[str, Answer] = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "is_current_stream_capturing": lambda: False,
        "synchronize": lambda *_: _wait("torch.cuda.synchronize"),
        "empty_cache": lambda: None,
        "max_memory_allocated": lambda *_: 0,
        "manual_seed_all": lambda *_: None,
        "set_device": lambda *_: None,
        "get_device_name": lambda *_: "Pretended GPU",
        "get_device_capability": lambda *_: (9, 0),
    }
    yield from (mock.patch.object(torch.cuda, name, answer) for name, answer in says.items())
    for name in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"):
        if hasattr(torch.optim.Optimizer, name):
            yield mock.patch.object(torch.optim.Optimizer, name, lambda self: None)


@contextmanager
def _answered(full_name: str, answer: Answer) -> Iterator[None]:
    """An answer in the place of a function; with a module of its own for it, where there is none."""
    module, _, name = full_name.rpartition(".")
    try:
        found, is_there = importlib.import_module(module), True
    except ImportError:
        found, is_there = sys.modules.setdefault(module, ModuleType(module)), False
        found.__file__ = f"{module} (pretended)"
    try:
        with mock.patch.object(found, name, device_function(answer), create=True):
            yield
    finally:
        if not is_there:
            del sys.modules[module]


def all_on_gpu(tensors: Iterable[object]) -> bool:
    """Whether all of them are tensors on the GPU."""
    return all(isinstance(tensor, Tensor) and tensor.is_cuda for tensor in tensors)
