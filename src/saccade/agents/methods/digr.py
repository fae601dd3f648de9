"""DIGR (Xing et al., 2022): a student that acts like its teacher, and whose input gradient shows why.

A randomly initialised student plays by its own policy. In the states that it visits, it learns to act like its teacher
(distillation). In offline states, whose saliency is known, its input gradient is driven to zero where nothing is
salient
(selective input gradient regularization). The two are tasks under PCGrad. ``distillation`` is the first of them alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Generator, Tensor, nn

from saccade.agents.agent import Act, Agent, Look, Phase, Prepare, Seen, Shared, Term, with_drawn
from saccade.agents.configs_students import DIGR
from saccade.agents.given import NOTHING, Given, SaliencyData, Teacher
from saccade.agents.methods.ppo import POLICY_GAIN, as_pixels, convolutions_for, trunk_of
from saccade.agents.parts.distributions import Categorical, Distribution, Gaussian
from saccade.agents.parts.pcgrad import pcgrad
from saccade.nets.initialization import orthogonal
from saccade.nets.precision import MixedPrecision
from saccade.saliency.gradient import differentiable_derivative
from saccade.saliency.reduction import per_frame
from saccade.types import Batch, Discrete, Spaces, UserError

PIXEL = 255.0  # gradients are per unit of a pixel in 0..1
NOT_ZERO = 1e-12  # is added to what maps are divided by

Loss = Callable[[Batch, Shared], Tensor]


class Student(nn.Module):
    """The student: PPO's trunk and a head for its policy. It has no value, since nothing would train it."""

    squashed: Tensor

    def __init__(self, spaces: Spaces, config: DIGR, squashed: bool = False) -> None:
        super().__init__()
        actions = spaces.actions
        self.discrete = isinstance(actions, Discrete)
        outputs = actions.count if isinstance(actions, Discrete) else 2 * actions.dims
        self.trunk = trunk_of(convolutions_for(spaces, config.trunk), config.trunk.hidden)
        self.policy = nn.Linear(config.trunk.hidden, outputs)
        self.apply(orthogonal)
        orthogonal(self.policy, POLICY_GAIN)
        self.log_std_range = config.log_std_min, config.log_std_max
        # Saved with the weights: loading them to act involves no teacher.
        self.register_buffer("squashed", torch.tensor(squashed))

    def forward(self, obs: Tensor) -> Distribution:
        """Return the distribution of actions for observations ``[batch, channels, height, width]`` in 0..255."""
        output = self.policy(self.trunk(obs))
        if self.discrete:
            return Categorical(output)
        mean, raw = output.chunk(2, -1)
        low, high = self.log_std_range
        return Gaussian(mean, low + 0.5 * (high - low) * (1 + torch.tanh(raw)))

    def played(self, action: Tensor) -> Tensor:
        """Return continuous actions as environments take them, in -1..1: squashed, if the teacher's are, or clipped."""
        return torch.where(self.squashed, torch.tanh(action), action.clamp(-1, 1))


def confidence(distribution: Distribution) -> Tensor:
    """Return the score whose input gradient is used, ``[batch]``: half the sum of squared probabilities (section 4.1).

    Its gradient is sum_a pi(a|s) d pi(a|s) / ds. For continuous actions, which the paper does not have, half the sum of
    squared means, before any squashing.
    """
    values = distribution.logits.softmax(-1) if isinstance(distribution, Categorical) else distribution.mean
    return 0.5 * values.square().sum(-1)


def input_gradient(policy: Callable[[Tensor], Distribution], obs: Tensor) -> Tensor:
    """Return g of section 4.1, in the shape of ``obs``, per unit of a pixel in 0..1; differentiable by the weights."""
    # Multiplied before the derivative is taken, while there is one number for each state and not one for each pixel.
    return differentiable_derivative(lambda pixels: PIXEL * confidence(policy(pixels)), obs).abs()


def saliency_where_none_should_be(
    gradient: Tensor, elsewhere: Tensor, *, normalisation: str = "maximum", channels: str = "max"
) -> Tensor:
    """Return the first term of equation 4, one number ``[batch]`` per state.

    Args:
        gradient: not negative, ``[batch, channels, height, width]``.
        elsewhere: bool ``[batch, height, width]``, where the teacher's saliency is at most the threshold.
        normalisation: ``maximum`` divides the map by its largest value and takes the mean over all pixels, as
            published; ``mass`` divides it by its sum. Both are differentiated through what they divide by.
        channels: ``max`` or ``sum`` reduces all channels to one map; ``all`` keeps each as a map, as in its notation.
    """
    saliency = {"max": lambda: gradient.amax(1, keepdim=True), "sum": lambda: gradient.sum(1, keepdim=True)}.get(
        channels, lambda: gradient
    )()
    unwanted = (saliency * elsewhere[:, None]).flatten(1)
    whole = saliency.flatten(1)
    if normalisation == "mass":
        # Deviation: not in the paper. Divided by its maximum, a map is smallest as a single bright pixel, wherever that
        # lies; divided by its mass, it can only become smaller by moving to where it should be.
        return unwanted.sum(1) / (whole.sum(1) + NOT_ZERO)
    return unwanted.mean(1) / (whole.amax(1) + NOT_ZERO)


def gradient_regularisation(nets: Student, config: DIGR) -> Loss:
    """Return the selective input gradient regularization on the saliency data (equation 4, first term)."""

    def loss(batch: Batch, shared: Shared) -> Tensor:
        gradient = input_gradient(nets, batch.drawn["saliency_obs"])
        found = saliency_where_none_should_be(
            gradient, batch.drawn["elsewhere"], normalisation=config.normalisation, channels=config.channels
        )
        return found.mean()

    return loss


def divergence(teacher: Tensor, student: Distribution) -> Tensor:
    """Return KL(teacher || student) in nats, ``[batch]``. teacher: as ``Teacher.outputs`` returns it."""
    if isinstance(student, Categorical):
        return Categorical(teacher).divergence(student)
    return Gaussian(*teacher.unbind(1)).divergence(student)


def distillation(nets: Student) -> Loss:
    """Mean divergence of the student from its teacher in the student's own states (equation 4, second term)."""

    def loss(batch: Batch, shared: Shared) -> Tensor:
        return divergence(batch.seen["teacher"], nets(batch.obs)).mean()

    return loss


def looked_up(teacher: Teacher) -> Look[Batch]:
    """Return a look that adds the teacher's outputs in the minibatch's states: ``teacher``."""

    def look(batch: Batch) -> Seen:
        return {"teacher": teacher.outputs(batch.obs)}

    return look


def draw_saliency(data: SaliencyData, config: DIGR) -> Prepare[Batch]:
    """Draw as many states of the saliency data as the minibatch has, and where nothing is salient in each.

    It adds ``saliency_obs`` and ``elsewhere``.
    """
    elsewhere = data.maps <= config.threshold
    states = data.states.contiguous(memory_format=torch.channels_last)  # as convolutions read them

    def draw(batch: Batch, generator: Generator) -> Batch:
        rows = torch.randint(len(data.states), (config.batch_size,), generator=generator, device=generator.device)
        # In float32 even if convolutions compute in less: a gradient has the precision of its input.
        seen = states[rows].float()
        return with_drawn(batch, saliency_obs=seen, elsewhere=elsewhere[rows])

    return draw


def student_phase(nets: Student, config: DIGR, given: Given) -> Phase[Batch]:
    """Return DIGR's one phase: two tasks under PCGrad, or distillation alone.

    It does not compile, since a teacher may be any network.
    """
    teacher = given.needed_teacher()
    terms = {"distillation": Term[Batch](distillation(nets), config.distillation_weight)}
    if not config.regularised:
        return Phase("student", terms, optimizer(nets, config), look=looked_up(teacher), compiles=False)
    if given.saliency is None:
        raise UserError("This method learns where to look, but was given no saliency data: pass some.")
    return Phase(
        "student",
        {"regularisation": Term[Batch](gradient_regularisation(nets, config)), **terms},
        optimizer(nets, config),
        draw=draw_saliency(given.saliency, config),
        look=looked_up(teacher),
        combine=pcgrad,
        compiles=False,
    )


def optimizer(nets: Student, config: DIGR) -> torch.optim.Optimizer:
    """Return the optimizer that a configuration names, as in PyTorch; it may become part of a CUDA graph."""
    parameters = list(nets.parameters())
    on_gpu = parameters[0].is_cuda
    if config.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=config.learning_rate, capturable=on_gpu)
    return torch.optim.Adam(parameters, lr=config.learning_rate, fused=True, capturable=on_gpu)


def sampled_policy(nets: Student) -> Act:
    """Return a function that acts: it samples from the policy, or without a generator takes the most likely action."""

    @torch.no_grad()
    def act(obs: Tensor, generator: Generator | None) -> Tensor:
        distribution = nets(obs)
        action = distribution.greedy if generator is None else distribution.sample(generator)
        return action if nets.discrete else nets.played(action)

    return act


def student_outputs(spaces: Spaces) -> Mapping[str, Callable[..., Tensor]]:
    """Return the network's outputs, for scores: ``logits``, or ``mean log_std gaussian action``."""

    def logits(networks: Student, obs: Tensor) -> Tensor:
        distribution = networks(obs)
        assert isinstance(distribution, Categorical)
        return distribution.logits

    def gaussian(networks: Student, obs: Tensor) -> Tensor:
        return torch.stack([*networks(obs)], dim=1)

    if isinstance(spaces.actions, Discrete):
        return {"logits": logits}
    return {
        "mean": lambda networks, obs: gaussian(networks, obs)[:, 0],
        "log_std": lambda networks, obs: gaussian(networks, obs)[:, 1],
        "gaussian": gaussian,
        "action": lambda networks, obs: networks.played(gaussian(networks, obs)[:, 0]),
    }


def gradient_map(nets: Student, spaces: Spaces) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the student's explanation of itself: its input gradient, the largest over a frame's colours."""

    def found(obs: Tensor, action: Tensor) -> Tensor:
        gradient = input_gradient(nets, obs.float()).detach()
        return per_frame(gradient, spaces.colours)

    return found


def make_digr(config: DIGR, spaces: Spaces, device: torch.device, given: Given = NOTHING) -> Agent[Batch]:
    """Make a student for either kind of action; one that was given no teacher acts, but does not learn."""
    teacher = given.teacher
    nets = Student(spaces, config, teacher is not None and teacher.squashed).to(device)
    convolutions = nets.trunk[0]
    assert isinstance(convolutions, MixedPrecision)
    return Agent(
        networks=nets,
        act=sampled_policy(nets),
        prepare=as_pixels(convolutions),
        phases=() if teacher is None else (student_phase(nets, config, given),),
        batch_size=config.batch_size,
        maps={"input_gradient": gradient_map(nets, spaces)},
        outputs=student_outputs(spaces),
    )
