"""Check what an agent does with observations: acting, outputs, maps and pictures, and being saved."""

from __future__ import annotations

import safetensors.torch
import torch
from torch import Tensor

from saccade.agents.agent import Agent
from saccade.agents.shortcuts import cause_of
from saccade.policies.policy import OUTPUTS
from saccade.testing.cases import SAMPLES, MethodCase
from saccade.testing.conformance import ConformanceError, first_few, require
from saccade.testing.random_states import other_random_states, untouched
from saccade.testing.relu_calls import relu_calls
from saccade.types import Continuous, Discrete

DRAWS = 8  # samples of actions, each by a generator with another seed
TOLERANCE = 1e-4  # between two ways to compute the same


def check_acts(case: MethodCase) -> None:
    """Check that actions lie in the space, are sampled by the generator alone, and without one are always the same."""
    agent, obs = case.agent(), case.observations()
    before = obs.clone()

    def drawn(seed: int) -> Tensor:
        return agent.act(obs, torch.Generator().manual_seed(seed))

    with untouched("Agent.act"):
        greedy, first = agent.act(obs, None), drawn(0)
    require(torch.equal(obs, before), "act changed the observations: work on a copy.")
    check_action(greedy, "act(obs, None)", case)
    check_action(first, "act(obs, generator)", case)
    with other_random_states():
        again, same_seed = agent.act(obs, None), drawn(0)
    require(torch.equal(again, greedy), "act(obs, None) gave two different actions: return the policy's mean or mode.")
    require(
        torch.equal(same_seed, first),
        "act returned different actions with generators of the same seed: draw from the generator and nothing else.",
    )
    require(
        any(not torch.equal(drawn(seed), first) for seed in range(1, DRAWS)),
        f"act returned the same action with generators of {DRAWS} seeds: sample it with the generator.",
    )


def check_action(action: Tensor, of: str, case: MethodCase) -> None:
    """Check that one batch of actions lies in the space."""
    space = case.spaces.actions
    shape, kind = (SAMPLES, *space.shape), "long" if isinstance(space, Discrete) else "float"
    fits = action.dtype == torch.int64 if isinstance(space, Discrete) else action.is_floating_point()
    require(
        action.shape == shape and fits and not action.requires_grad,
        f"{of} returned {action.dtype} of shape "
        f"{list(action.shape)}{' with a gradient' if action.requires_grad else ''}: "
        f"return {kind} {list(shape)}, under torch.no_grad().",
    )
    low, high = action.min().item(), action.max().item()
    match space:
        case Discrete(count):
            inside, allowed = low >= 0 and high < count, f"0..{count - 1}"
        case Continuous() if case.on_policy:  # actions stay as they were sampled: the loop clips them
            inside, allowed = bool(action.isfinite().all()), "finite numbers"
        case Continuous():
            inside, allowed = bool(action.isfinite().all()) and low >= -1 and high <= 1, "-1..1"
    require(inside, f"{of} returned actions in {low:g}..{high:g}: they must be {allowed}.")


def check_outputs(case: MethodCase) -> None:
    """Check that outputs have the names and shapes of ``OUTPUTS``, agree with ``act``, and use the given networks."""
    agent, other, obs = case.agent(), case.agent(seed=1), case.observations()
    action, pixels = agent.act(obs, None), obs.float()
    found: dict[str, Tensor] = {}
    for name, compute in agent.outputs.items():
        require(name in OUTPUTS, f"The output {name!r} is unknown to scores: name it one of {', '.join(OUTPUTS)}.")
        arguments = (pixels, action) if name == "q" else (pixels,)
        found[name] = compute(agent.networks, *arguments)
        shape = _shape_of(name, case)
        require(
            shape is not None,
            f"The output {name!r} is for the other kind of action: an agent whose actions are "
            f"{case.spaces.actions} has none.",
        )
        require(
            found[name].shape == shape,
            f"The output {name!r} has the shape {list(found[name].shape)}: return {list(shape or ())}.",
        )
        require(
            bool(found[name].isfinite().all()),
            f"The output {name!r} is NaN or infinite on plain noise: look for a logarithm or a division by zero.",
        )
        ours, theirs = compute(other.networks, *arguments), other.outputs[name](other.networks, *arguments)
        require(
            torch.allclose(ours, theirs),
            f"The output {name!r} does not use the networks that it is given: reach weights through that argument "
            "alone, or what explains it will explain other weights.",
        )
    preference = found.get("logits", found.get("q_values"))
    chosen = preference.argmax(-1) if preference is not None else found.get("action")
    require(
        chosen is None or torch.allclose(chosen.float(), action.float(), atol=TOLERANCE),
        "The outputs disagree with act(obs, None): compute both from the same networks in the same way.",
    )


def _shape_of(name: str, case: MethodCase) -> tuple[int, ...] | None:
    """The shape of an output for ``SAMPLES`` observations; None if actions of this kind have no such output."""
    match case.spaces.actions:
        case Discrete(count):
            shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("logits", "q_values"), (SAMPLES, count))
        case Continuous(dims):
            shapes = dict.fromkeys(("mean", "log_std", "action"), (SAMPLES, dims)) | {"gaussian": (SAMPLES, 2, dims)}
    return (shapes | dict.fromkeys(("value", "q"), (SAMPLES,))).get(name)


def check_relus(case: MethodCase) -> None:
    """Check that networks threshold with modules, which guided views can exchange."""
    agent, obs = case.agent(), case.observations()
    action = agent.act(obs, None)
    with relu_calls(agent.networks) as calls:
        agent.act(obs, None)
        for name, compute in agent.outputs.items():
            compute(agent.networks, obs.float(), *((action,) if name == "q" else ()))
    require(
        calls[0] == 0,
        f"The networks call ReLU as a function, {calls[0]} times in acting and computing outputs: use nn.ReLU modules, "
        "or guided saliency silently keeps the plain gradient there.",
    )


def check_maps(case: MethodCase) -> None:
    """Check that maps have a value for every pixel of every frame, and masks values in 0..1."""
    agent, obs = case.agent(), case.observations()
    channels, height, width = case.spaces.obs_shape
    shape = (SAMPLES, channels // case.spaces.colours, height, width)
    for name, find in agent.maps.items():
        found = find(obs, agent.act(obs, None))
        require(found.shape == shape, f"The map {name!r} has the shape {list(found.shape)}: return {list(shape)}.")
        require(not found.requires_grad, f"The map {name!r} has a gradient: detach the result.")
        require(bool(found.isfinite().all()), f"The map {name!r} is NaN or infinite: look for a division by zero.")
        require(bool(found.any()), f"The map {name!r} is zero everywhere: look for a detach on the way to it.")
        require(
            not name.endswith("mask") or bool(((found >= 0) & (found <= 1)).all()),
            f"The map {name!r} lies in {found.min().item():g}..{found.max().item():g}: one that is called a mask must "
            "lie in 0..1.",
        )


def check_pictures(case: MethodCase) -> None:
    """Check that pictures are in colour, as large as the observation or smaller, and independent between samples."""
    agent, obs = case.agent(), case.observations().float()
    for name, draw in agent.pictures.items():
        drawn = draw(obs)
        fits = drawn.shape[:2] == obs.shape[:2] and all(
            ours <= theirs for ours, theirs in zip(drawn.shape[2:], obs.shape[2:], strict=False)
        )
        require(
            drawn.ndim == obs.ndim and fits,
            f"The picture {name!r} has the shape {list(drawn.shape)}: return {list(obs.shape)}, or a smaller height "
            "and width.",
        )
        require(not drawn.requires_grad, f"The picture {name!r} has a gradient: compute it under torch.no_grad().")
        low, high = drawn.min().item(), drawn.max().item()
        require(
            bool(drawn.isfinite().all()) and low >= 0 and 0 < high <= 255,
            f"The picture {name!r} lies in {low:g}..{high:g}: its colours must lie in 0..255, and not all be black.",
        )
        alone = torch.cat([draw(one[None]) for one in obs])
        require(
            torch.allclose(alone, drawn, rtol=TOLERANCE, atol=TOLERANCE * 255),
            f"The picture {name!r} of a sample depends on the others in its batch: compute each by itself.",
        )
    written = [name for name, weight in agent.networks.named_parameters() if weight.grad is not None]
    require(written == [], f"Pictures left a gradient on {first_few(written)}: compute them under torch.no_grad().")


def check_saved(case: MethodCase) -> None:
    """Check that saved networks, loaded into another agent, make it act and compute maps like the first."""
    agent, other, obs = case.agent(), case.agent(seed=1), case.observations()
    try:
        saved = safetensors.torch.save(agent.networks.state_dict())
    except RuntimeError as error:
        raise ConformanceError(
            f"The networks cannot be saved as safetensors ({cause_of(error)}): register every tensor exactly once."
        ) from error
    other.networks.load_state_dict(safetensors.torch.load(saved))  # as a checkpoint is read
    for what, ours, theirs in _answers(agent, other, obs):
        require(
            torch.equal(ours, theirs),
            f"{what} differs after the networks were saved and loaded: keep everything that it depends on in "
            "Agent.networks.",
        )


def _answers(agent: Agent, other: Agent, obs: Tensor) -> list[tuple[str, Tensor, Tensor]]:
    """What both agents compute from the same observations."""
    action = agent.act(obs, None)
    answers = [("The action", action, other.act(obs, None))]
    answers += [
        (f"The map {name!r}", find(obs, action), other.maps[name](obs, action)) for name, find in agent.maps.items()
    ]
    for name in agent.outputs:
        ours, theirs = (
            each.outputs[name](each.networks, obs.float(), *((action,) if name == "q" else ()))
            for each in (agent, other)
        )
        answers.append((f"The output {name!r}", ours, theirs))
    return answers
