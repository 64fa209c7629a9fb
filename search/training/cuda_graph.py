"""CudaGraph: a training step on a GPU, recorded once and from then on launched as a whole."""

from collections.abc import Callable

import torch
from torch import Tensor

_WARM_UP = 3  # steps that torch needs before it records: they choose algorithms and allocate


class CudaGraph:
    """Runs one step repeatedly, from its fourth time on as one CUDA graph.

    A step of a small network is about a thousand kernels, most of which take the GPU less time than
    their launch takes Python. The inputs must keep their shapes, and everything else that the step
    reads and writes its place in memory.
    """

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._warm_ups = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: tuple[Tensor, ...] = ()
        self._output = torch.empty(0)

    def run(self, step: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        """The result of `step(*inputs)`; the next run overwrites it."""
        if self._warm_ups < _WARM_UP:
            self._warm_ups += 1
            current = torch.cuda.current_stream()
            self._stream.wait_stream(current)
            with torch.cuda.stream(self._stream):
                output = step(*inputs)
            current.wait_stream(self._stream)
            return output
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            self._inputs = tuple(tensor.clone() for tensor in inputs)
            with torch.cuda.graph(self._graph, stream=self._stream):
                self._output = step(*self._inputs)
        for kept, given in zip(self._inputs, inputs, strict=True):
            kept.copy_(given)
        self._graph.replay()
        return self._output
