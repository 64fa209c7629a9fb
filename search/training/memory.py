"""Memory of a training: estimated from its architecture, and held to a share of a GPU."""

import torch

from hgcnet.architecture import Architecture, Task
from hgcnet.complexity import layer_table
from search.data.splits import Splits
from search.training.precision import computes_in_bf16
from search.training.proxy_config import ProxyConfig

# What the driver and torch's libraries take of a GPU for each process, beside its tensors.
_CONTEXT_BYTES = 600 * 2**20


def activation_elements(architecture: Architecture, task: Task) -> int:
    """Numbers that the backward pass needs of one image's forward pass.

    Every layer keeps its input (a ReLU keeps its output, which is the next layer's input). A gate of
    squeeze-and-excitation keeps the image that it scales, and a pooling keeps what it averages.
    """
    elements = scaled = 0
    for layer in layer_table(architecture, task):
        pixels = layer.resolution**2
        elements += layer.in_channels * pixels
        if layer.name.endswith("norm3"):
            scaled = layer.out_channels * pixels
        elif layer.name.endswith("se.expand"):
            elements += scaled
        elif layer.name.startswith("transitions") and layer.name.endswith("conv"):
            elements += layer.out_channels * pixels
    return elements


def training_bytes(
    architecture: Architecture, splits: Splits, proxy: ProxyConfig, device: torch.device
) -> int:
    """About what a training holds at its peak: activations, weights and images.

    Without what the process has before it (on a GPU some 0.6 GiB), and without what the allocator
    keeps in reserve.
    """
    images = splits.train.images
    _, channels, side, _ = images.shape
    task = Task(in_channels=channels, num_classes=splits.num_classes, resolution=side)
    layers = layer_table(architecture, task)
    batch = min(proxy.batch_size, len(images))
    size = 2 if computes_in_bf16(proxy.precision, device) else 4
    # While a layer goes backward there are its gradients, beside all that is still kept.
    widest = max(max(row.in_channels, row.out_channels) * row.resolution**2 for row in layers)
    activations = batch * size * (activation_elements(architecture, task) + 3 * widest)
    weights = 4 * sum(3 * row.num_params_total for row in layers)  # with gradient and momentum
    weights += 4 * sum(r.in_channels * r.out_channels for r in layers if "grouped" in r.name)
    pixels = images.nbytes * (1 + 8 / side) ** 2 + splits.validation.images.nbytes
    return int(activations + weights + pixels)


def set_memory_share(gpus: float) -> None:
    """Holds this process to its share of the GPU: what asks for more is out of memory."""
    total = torch.cuda.mem_get_info()[1]
    share = min(1.0, gpus) - _CONTEXT_BYTES / total
    torch.cuda.set_per_process_memory_fraction(max(0.0, share))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the GPU's or the machine's memory is used up."""
    # torch has no type of its own for the machine's memory.
    of_machine = isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    return of_machine or isinstance(error, torch.OutOfMemoryError | MemoryError)
