"""Find the device that a name means on this machine, and why PyTorch cannot use a GPU that is there."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch

from saccade.data.nvidia import driver_cuda, driver_version, nvidia_device
from saccade.types import UserError

CUDA_INDEX = "https://download.pytorch.org/whl/cu126"  # of PyTorch for CUDA 12, which older drivers run


@dataclass(frozen=True)
class GPUFacts:
    """What decides whether PyTorch can use an NVIDIA GPU.

    present: whether the machine has one for this process. hidden: whether ``CUDA_VISIBLE_DEVICES`` hides all of them.
    usable: whether PyTorch uses it. torch_cuda: version of CUDA that PyTorch was built for, None for no CUDA.
    driver: the driver's version. driver_cuda: the newest CUDA that it runs, None if its library is not found.
    complaint: what PyTorch said about it.
    """

    present: bool
    hidden: bool
    usable: bool
    torch_cuda: str | None
    driver: str | None
    driver_cuda: tuple[int, int] | None
    complaint: str = ""

    @property
    def unusable(self) -> str | None:
        """Why a GPU that is present and not hidden cannot be used, and what to do; None if there is no problem."""
        if self.usable or self.hidden or not self.present:
            return None
        version = f"{self.driver} " if self.driver else ""
        if self.torch_cuda is None:
            return (
                f"this PyTorch ({torch.__version__}) was built without CUDA. Install one with CUDA: "
                "pip install --force-reinstall torch"
            )
        if self.driver_cuda is None:
            return (
                "the library of its driver (libcuda.so.1) is not found. Install NVIDIA's driver, or start the "
                "container with --gpus all"
            )
        if self.driver_cuda[0] < int(self.torch_cuda.split(".")[0]):
            newest = ".".join(map(str, self.driver_cuda))
            return (
                f"its driver {version}runs CUDA up to {newest}, but this PyTorch ({torch.__version__}) is built for "
                f"{self.torch_cuda}. Install a newer driver, or another PyTorch: "
                f"pip install --force-reinstall torch --index-url {CUDA_INDEX}"
            )
        said = f", which says: {self.complaint.rstrip('.')}" if self.complaint else ""
        return f"PyTorch cannot start it{said}. See whether nvidia-smi shows it; a restart of the machine may help"


def gpu_facts() -> GPUFacts:
    """Return the facts about this machine."""
    with warnings.catch_warnings(record=True) as complaints:  # such as about a driver that is too old
        warnings.simplefilter("always")
        usable = torch.cuda.is_available()
    return GPUFacts(
        present=usable or nvidia_device(),
        hidden=os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1", "NoDevFiles"),
        usable=usable,
        torch_cuda=torch.version.cuda,
        driver=driver_version(),
        driver_cuda=driver_cuda(),
        complaint=str(complaints[0].message).splitlines()[0] if complaints else "",
    )


def device_of(name: str, *, training: bool = False, facts: Callable[[], GPUFacts] = gpu_facts) -> torch.device:
    """Return the device that a name means on this machine.

    Args:
        name: ``auto``, which is a GPU if there is one, or ``cpu``, ``cuda``, ``cuda:0`` and the like.
        training: whether ``auto`` refuses to choose the processor if there is a GPU that PyTorch cannot use, since
            training would take weeks there. For anything else it only warns.

    Raises:
        UserError: it is not a device, or not here.
    """
    if name == "auto":
        return _best_device(training, facts)
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"--device {name} is not a device: use auto, cpu, cuda or cuda:0.") from error
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"--device {name} is not supported: use auto, cpu, cuda or cuda:0.")
    if device.type == "cuda":
        _require(device, name, facts)
    return device


def _best_device(training: bool, facts: Callable[[], GPUFacts]) -> torch.device:
    found = facts()
    if found.usable:
        return torch.device("cuda")
    if found.unusable is not None:
        problem = f"There is an NVIDIA GPU that cannot be used: {found.unusable}."
        if training:
            raise UserError(f"{problem} To train on the processor anyway, give --device cpu.")
        warnings.warn(f"{problem} The processor is used.", stacklevel=3)
    return torch.device("cpu")


def _require(device: torch.device, name: str, facts: Callable[[], GPUFacts]) -> None:
    """Raise UserError for a GPU that is not here."""
    found = facts()
    count = torch.cuda.device_count() if found.usable else 0
    if (device.index or 0) < count:
        return
    why = f": {found.unusable}" if found.unusable else ""
    instead = "auto, or cuda:0" if count == 1 else f"auto, or cuda:0 to cuda:{count - 1}" if count else "--device cpu"
    raise UserError(
        f"--device {name} was asked for, but PyTorch sees {count} GPU{'s' * (count != 1)}{why}. Use {instead}."
    )
