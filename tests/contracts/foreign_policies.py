"""Policies that other people's tools made: Stable-Baselines3 models trained for a moment, and files like CleanRL's."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

SIZE = 36  # the least that the Nature network takes
ACTIONS = gymnasium.spaces.Discrete(3)
BOX = gymnasium.spaces.Box(np.array([-2, 0], np.float32), np.array([1, 3], np.float32))
RGB = gymnasium.spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8)
STACK = gymnasium.spaces.Box(0, 255, (4, SIZE, SIZE), np.uint8)
UNIT = gymnasium.spaces.Box(0, 1, (1, SIZE, SIZE), np.float32)


class NoiseEnv(gymnasium.Env[NDArray[Any], Any]):
    """Pictures of noise, and a reward for bright ones."""

    def __init__(self, observation_space: gymnasium.Space[Any], action_space: gymnasium.Space[Any]) -> None:
        self.observation_space, self.action_space = observation_space, action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[NDArray[Any], float, bool, bool, dict[str, Any]]:
        obs = self.observation_space.sample()
        return obs, float(obs.mean()), False, False, {}


class OwnExtractor(BaseFeaturesExtractor):
    """A features extractor of one's own, which no zip describes."""

    def __init__(self, observation_space: gymnasium.spaces.Box, features_dim: int = 8) -> None:
        super().__init__(observation_space, features_dim)
        self.layers = nn.Sequential(
            nn.Conv2d(observation_space.shape[0], 4, 9, stride=9), nn.ReLU(), nn.Flatten(), nn.Linear(64, features_dim)
        )

    def forward(self, obs: Tensor) -> Tensor:
        return self.layers(obs)


@dataclass(frozen=True)
class Case:
    algorithm: type[BaseAlgorithm]
    observations: gymnasium.Space[Any]
    actions: gymnasium.Space[Any]
    policy: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    kind: str = "CnnPolicy"


SPREAD = {"full_std": False, "use_expln": True, "log_std_init": 1.0}
SMALL = {"net_arch": [8]}
CASES = {
    "ppo_discrete": Case(PPO, STACK, ACTIONS),
    "ppo_box": Case(PPO, RGB, BOX, {"share_features_extractor": False, "net_arch": {"pi": [7], "vf": [6, 5]}}),
    "ppo_box_sde": Case(PPO, RGB, BOX, {"squash_output": True, "activation_fn": nn.ReLU, **SPREAD}, {"use_sde": True}),
    "a2c_discrete": Case(A2C, RGB, ACTIONS, {"net_arch": [9]}),
    "a2c_raw": Case(A2C, STACK, ACTIONS, {"normalize_images": False}),
    "a2c_unit": Case(A2C, UNIT, ACTIONS, {"features_extractor_kwargs": {"normalized_image": True, "features_dim": 4}}),
    "ppo_flat": Case(PPO, UNIT, ACTIONS, kind="MlpPolicy"),
    "dqn": Case(DQN, STACK, ACTIONS, {"net_arch": [6]}),
    "sac": Case(SAC, RGB, BOX, {"net_arch": {"pi": [8, 7], "qf": [9]}, "n_critics": 3}),
    "sac_sde": Case(SAC, RGB, BOX, {"share_features_extractor": True, "clip_mean": 0.0, **SMALL}, {"use_sde": True}),
    "td3": Case(TD3, RGB, BOX, {"share_features_extractor": True, "activation_fn": nn.Tanh, **SMALL}),
}


def trained(case: Case) -> BaseAlgorithm:
    """A model after a few updates, so that no weight is as it was made."""
    training = {
        PPO: {"n_steps": 8, "batch_size": 8, "n_epochs": 1},
        A2C: {"n_steps": 8},
        DQN: {"buffer_size": 16, "learning_starts": 4, "batch_size": 4, "target_update_interval": 2},
        SAC: {"buffer_size": 16, "learning_starts": 4, "batch_size": 4},
        TD3: {"buffer_size": 16, "learning_starts": 4, "batch_size": 4},
    }[case.algorithm]
    extractor = {"features_extractor_kwargs": {"features_dim": 16}} if case.kind == "CnnPolicy" else {}
    env = NoiseEnv(case.observations, case.actions)
    options = {"policy_kwargs": {**extractor, **case.policy}, "seed": 3, "device": "cpu", **training, **case.options}
    return case.algorithm(case.kind, env, **options).learn(8)


def pictures(space: gymnasium.Space[Any], count: int = 5) -> NDArray[Any]:
    """Observations that do not depend on anybody's random numbers."""
    assert isinstance(space, gymnasium.spaces.Box)
    values = np.random.default_rng(5).random((count, *space.shape)) * space.high.max()
    return values.astype(space.dtype)


PPO_FILE = '''
from __future__ import annotations
from dataclasses import dataclass
import torch
from torch import nn
from torch.distributions import Categorical

@dataclass
class Args:
    seed: int = 1

class Agent(nn.Module):
    """As CleanRL's for Atari: one trunk, pixels divided inside, no forward."""
    channels = 0
    def __init__(self, envs):
        super().__init__()
        channels = envs.single_observation_space.shape[self.channels]
        trunk = nn.Conv2d(channels, 4, 8, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 8), nn.ReLU()
        self.network = nn.Sequential(*trunk)
        self.actor = nn.Linear(8, envs.single_action_space.n)
        self.critic = nn.Linear(8, 1)
    def get_value(self, x):
        return self.critic(self.network(x / 255.0))
    def get_action_and_value(self, x, action=None):
        hidden = self.network(x / 255.0)
        probs = Categorical(logits=self.actor(hidden))
        if action is None:
            action = probs.sample()
        return action, probs.log_prob(action), probs.entropy(), self.critic(hidden)

class ChannelsLast(Agent):
    """As CleanRL's for Procgen: the pictures come with their channels last."""
    channels = 2
    def get_value(self, x):
        return super().get_value(x.permute((0, 3, 1, 2)))
    def get_action_and_value(self, x, action=None):
        return super().get_action_and_value(x.permute((0, 3, 1, 2)), action)
'''

CONTINUOUS_FILE = '''
import torch
from torch import nn
from torch.distributions import Normal

def trunk(channels, out):
    return nn.Sequential(nn.Conv2d(channels, 4, 8, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(256, out))

class Agent(nn.Module):
    """As CleanRL's PPO for continuous actions."""
    def __init__(self, envs):
        super().__init__()
        channels = envs.single_observation_space.shape[0]
        self.critic = trunk(channels, 1)
        self.actor_mean = trunk(channels, 2)
        self.actor_logstd = nn.Parameter(torch.zeros(1, 2))
    def get_value(self, x):
        return self.critic(x / 255.0)
    def get_action_and_value(self, x, action=None):
        mean = self.actor_mean(x / 255.0)
        probs = Normal(mean, self.actor_logstd.expand_as(mean).exp())
        if action is None:
            action = probs.sample()
        return action, probs.log_prob(action).sum(1), probs.entropy().sum(1), self.critic(x / 255.0)

class Bounded(nn.Module):
    def __init__(self, env):
        super().__init__()
        self.fc1 = trunk(env.single_observation_space.shape[0], 8)
        high, low = torch.as_tensor(env.action_space.high), torch.as_tensor(env.action_space.low)
        self.register_buffer("action_scale", (high - low) / 2)
        self.register_buffer("action_bias", (high + low) / 2)

class Actor(Bounded):
    """As CleanRL's DDPG and TD3 actors."""
    def __init__(self, env):
        super().__init__(env)
        self.fc_mu = nn.Linear(8, 2)
    def forward(self, x):
        return self.fc_mu(self.fc1(x / 255.0).relu()).tanh() * self.action_scale + self.action_bias

class SquashedActor(Bounded):
    """As CleanRL's SAC actor: mean and log standard deviation from forward."""
    def __init__(self, env):
        super().__init__(env)
        self.fc_mean, self.fc_logstd = nn.Linear(8, 2), nn.Linear(8, 2)
    def forward(self, x):
        hidden = self.fc1(x).relu()
        return self.fc_mean(hidden), -5 + 3.5 * (self.fc_logstd(hidden).tanh() + 1)
    def get_action(self, x):
        mean, log_std = self(x / 255.0)
        drawn = Normal(mean, log_std.exp()).rsample()
        return tuple(action.tanh() * self.action_scale + self.action_bias for action in (drawn, mean))
'''

Q_FILE = '''
import torch
from torch import nn

class QNetwork(nn.Module):
    """As CleanRL's DQN."""
    def __init__(self, env):
        super().__init__()
        trunk = nn.Conv2d(4, 4, 8, stride=4), nn.ReLU(), nn.Flatten()
        self.network = nn.Sequential(*trunk, nn.Linear(256, env.single_action_space.n))
    def forward(self, x):
        return self.network(x / 255.0)

class DiscreteActor(QNetwork):
    """As CleanRL's SAC for Atari: get_action divides the pixels, and draws an action; forward does neither."""
    def __init__(self, env):
        super().__init__(env)
        self.fc_logits = nn.Linear(3, 3)
    def forward(self, x):
        return self.fc_logits(self.network(x))
    def get_action(self, x):
        logits = self(x / 255.0)
        return torch.distributions.Categorical(logits=logits).sample(), logits

class Plain(nn.Module):
    """Takes nothing to be made, and gives several things."""
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(4, 4, 8, stride=4), nn.ReLU(), nn.Flatten())
        self.policy, self.judge, self.random_head = nn.Linear(256, 3), nn.Linear(256, 1), nn.Linear(256, 3)
    def forward(self, x):
        hidden = self.body(x / 255.0)
        return {"policy": self.policy(hidden), "heads": (self.judge(hidden), hidden)}
    def judged(self, x):
        return self.judge(self.body(x / 255.0))

class Plane(QNetwork):
    """Reads the plain names of an environment."""
    def __init__(self, env):
        super().__init__(env)
        self.shape = nn.Parameter(torch.zeros(env.observation_space.shape))

class Spaces(QNetwork):
    def __init__(self, observation_space, action_space):
        from types import SimpleNamespace
        super().__init__(SimpleNamespace(single_action_space=action_space))

class Demanding(nn.Module):
    def __init__(self, envs, args, hidden):
        super().__init__()

def ready():
    torch.manual_seed(1)
    return Plain()

def wrong(env):
    return [1, 2]

def careless(env):
    return Plain(env.envs[0])
'''

FILES = {"ppo.py": PPO_FILE, "continuous.py": CONTINUOUS_FILE, "q.py": Q_FILE}


def write_files(folder: Path) -> None:
    for name, text in FILES.items():
        (folder / name).write_text(text)


def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    """The same network with weights away from their start."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in network.parameters():
            value += 0.1 * torch.randn(value.shape, generator=generator)
    return network
