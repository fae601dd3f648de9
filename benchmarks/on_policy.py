"""Agent steps per processor second of a whole PPO loop: ours, Stable-Baselines3's, and one in CleanRL's manner.

    python benchmarks/on_policy.py [--task minigrid/red_fetch_green] [--preset small|paper] [--rounds 3] [--threads 1]
                                   [--precision auto|float32|bfloat16] [--out FILE]
    python benchmarks/on_policy.py --task atari/Breakout --preset paper

The same network, settings and environments in one process: a batch of grid worlds or of games, which
Stable-Baselines3 gets through an adapter. A round is one rollout and its updates; contenders take turns, and their
fastest round counts. "stock" is Stable-Baselines3 on what its users have: MiniGrid's own environments, or its own
wrappers of Atari, which need OpenCV and are left out without it. On Atari "fls" is our loop with sparse attention.
Shares are of our loop.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import stable_baselines3
import torch
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv
from torch import nn

from saccade.agents.configs_on_policy import PPO
from saccade.agents.given import NOTHING
from saccade.agents.methods import ppo
from saccade.agents.presets import preset
from saccade.data.rollout import Rollout
from saccade.envs.config import EnvConfig
from saccade.envs.streams import Streams, WorkerStreams
from saccade.envs.suites import suite_of
from saccade.envs.workers.env_workers import EnvWorkers
from saccade.nets.nature import nature_convolutions
from saccade.nets.precision import set_compute_dtype
from saccade.runs.agents import make_agent
from saccade.runs.torch_setup import compute_dtype
from saccade.runs.training import RunConfig, Training
from saccade.train.on_policy import OnPolicyTraining

ATARI = "atari/"
CPU = torch.device("cpu")
Round = Callable[[], None]


def main() -> None:
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore")
    config = run_config(options)
    steps = config.agent.rollout_steps * config.training.num_envs
    dtype = compute_dtype(options.precision, CPU)
    ours = our_loop(config, dtype)
    rounds: dict[str, Round] = {
        "saccade": lambda: next(ours.rounds),
        "saccade, float32": (lambda loop: lambda: next(loop.rounds))(our_loop(config, torch.float32)),
        "stable-baselines3": stable_baselines(config, AsVecEnv(streams_of(config))),
        "plain": plain_loop(config, streams_of(config)),
    }
    if options.stock and (env := stock(config)) is not None:
        rounds["stable-baselines3, stock"] = stable_baselines(config, env)
    if options.task.startswith(ATARI):
        attentive = our_loop(run_config(options, "fls"), dtype)
        rounds["saccade, fls"] = lambda: next(attentive.rounds)
    times: dict[str, list[float]] = {name: [] for name in rounds}
    for name in rounds:
        rounds[name]()  # warms up
    ours.parts.clear()
    for _ in range(options.rounds):
        for name, perform in rounds.items():
            began = time.process_time()
            perform()
            times[name].append(time.process_time() - began)
    rates = {name: steps / min(spent) for name, spent in times.items()}
    print(f"{options.task}, preset {options.preset}, {options.threads} threads:")
    print("agent steps per processor second, and ours against it")
    for name, rate in rates.items():
        print(f"{name:26} {rate:8.0f}   {rates['saccade'] / rate:5.2f}")
    whole = sum(ours.parts.values())
    shares = {name: spent / whole for name, spent in ours.parts.items()}
    print("shares of ours: " + ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items()))
    if options.out:
        row = {"task": options.task, "preset": options.preset, "threads": options.threads, "torch": torch.__version__}
        row |= {"dtype": str(dtype), "steps_per_second": rates, "shares": shares}
        options.out.write_text(json.dumps(row, indent=1) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="minigrid/red_fetch_green")
    parser.add_argument("--preset", default="small", choices=("small", "paper"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument(
        "--no-stock",
        dest="stock",
        action="store_false",
        help="without MiniGrid's or Stable-Baselines3's own environments",
    )
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def run_config(options: argparse.Namespace, method: str = "ppo") -> RunConfig:
    start = preset(method, options.task, options.preset)
    side = (start.agent if method == "ppo" else start.agent.ppo).trunk.image_size
    env = EnvConfig.parse(options.task, image_size=side, **start.environment)
    training = Training(steps=10**9, envs=start.training["envs"], evaluate_every=0, evaluation_modes=())
    return RunConfig(method, env, start.agent, training, None)


def streams_of(config: RunConfig) -> Streams:
    """All in this process, whose time is what is measured."""
    made, seeds = suite_of(config.env.task).streams, list(range(config.training.num_envs))
    own = None if made is None else made(config.env, seeds)
    return WorkerStreams(EnvWorkers([config.env] * len(seeds), seeds, num_workers=0)) if own is None else own


# --- ours --------------------------------------------------------------------------------------------


class Ours:
    """Our loop, a round at a time, and the seconds that its parts took."""

    def __init__(self, loop: OnPolicyTraining) -> None:
        self.loop = loop
        self.parts: dict[str, float] = {}
        loop.streams.step = self._timed("environments", loop.streams.step)  # type: ignore[method-assign]
        loop.rollout.judged = self._timed("judging", loop.rollout.judged)  # type: ignore[method-assign]
        updates, ahead = self._timed("updates", loop.update), loop.update.ahead
        updates.ahead = ahead
        loop.update = updates
        self.rounds = self._rounds()

    def _timed(self, name: str, function: Callable[..., Any]) -> Any:
        def timed(*arguments: Any) -> Any:
            began = time.process_time()
            result = function(*arguments)
            self.parts[name] = self.parts.get(name, 0.0) + time.process_time() - began
            return result

        return timed

    def _rounds(self) -> Iterator[None]:
        updates, began = 0, time.process_time()
        for _ in self.loop.events():
            if self.loop.counters.updates > updates:
                updates = self.loop.counters.updates
                spent = time.process_time() - began
                self.parts["acting, remembering"] = max(spent - sum(self.parts.values()), 0.0)
                yield
                began, self.parts = time.process_time(), {}


def our_loop(config: RunConfig, dtype: torch.dtype) -> Ours:
    streams = streams_of(config)
    agent = make_agent(config, streams.spaces, CPU, NOTHING)
    set_compute_dtype(agent.networks, dtype)
    envs, learned = streams.num_envs, agent.rollouts
    assert learned is not None
    rollout = Rollout(learned.steps, envs, streams.spaces, CPU, learned.steps * envs // learned.minibatches)
    return Ours(OnPolicyTraining(config, agent, streams, rollout, CPU))


# --- Stable-Baselines3 --------------------------------------------------------------------------------


class AsVecEnv(VecEnv):  # type: ignore[misc]
    """Streams as Stable-Baselines3 takes environments."""

    def __init__(self, streams: Streams) -> None:
        self.streams = streams
        space = gymnasium.spaces.Box(0, 255, streams.spaces.obs_shape, np.uint8)
        count = streams.spaces.actions.count  # type: ignore[union-attr]
        super().__init__(streams.num_envs, space, gymnasium.spaces.Discrete(count))

    def reset(self) -> np.ndarray:
        return self.streams.start()

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self) -> Any:
        step = self.streams.step(self._actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for place, index in enumerate(np.flatnonzero(step.ended)):
            infos[index] = {
                "terminal_observation": step.last_obs[place],
                "TimeLimit.truncated": bool(step.truncated[index]),
            }
        return step.obs, step.reward.astype(np.float32), step.ended, infos

    def close(self) -> None:
        self.streams.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [None] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None: ...

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        return [None] * self.num_envs

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs


class Trunk(BaseFeaturesExtractor):  # type: ignore[misc]
    """The same convolutions and layer as ours."""

    def __init__(self, space: gymnasium.spaces.Box, filters: tuple[int, int, int], hidden: int) -> None:
        super().__init__(space, hidden)
        layers, channels = [], space.shape[0]
        for width, (kernel, stride) in zip(filters, ((8, 4), (4, 2), (3, 1)), strict=True):
            layers += [nn.Conv2d(channels, width, kernel, stride), nn.ReLU()]
            channels = width
        with torch.no_grad():
            flat = nn.Sequential(*layers)(torch.zeros(1, *space.shape)).numel()
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(flat, hidden), nn.ReLU())

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        return self.layers(obs)


def stable_baselines(config: RunConfig, env: VecEnv) -> Round:
    agent, steps = config.agent, config.agent.rollout_steps
    model = stable_baselines3.PPO(
        "CnnPolicy", env, learning_rate=agent.learning_rate, n_steps=steps,
        batch_size=steps * env.num_envs // agent.minibatches, n_epochs=agent.epochs, gamma=agent.discount,
        gae_lambda=agent.gae_lambda, clip_range=agent.clip_range, ent_coef=agent.entropy_weight,
        vf_coef=agent.value_weight, max_grad_norm=agent.max_gradient_norm, device="cpu", verbose=0,
        policy_kwargs={
            "features_extractor_class": Trunk, "net_arch": [],
            "features_extractor_kwargs": {"filters": agent.trunk.filters, "hidden": agent.trunk.hidden},
        },
    )  # fmt: skip
    return lambda: model.learn(steps * env.num_envs, reset_num_timesteps=False) and None


def stock(config: RunConfig) -> VecEnv | None:
    """What users of Stable-Baselines3 have of the task; None where OpenCV is missing."""
    if not config.env.task.startswith(ATARI):
        return stock_grids(config)
    if importlib.util.find_spec("cv2") is None:
        print("OpenCV is missing, so Stable-Baselines3's own wrappers are left out")
        return None
    return stock_games(config)


def stock_games(config: RunConfig) -> VecEnv:
    """Stable-Baselines3's wrappers of Atari, four frames stacked, as channels first."""
    import ale_py
    from stable_baselines3.common.env_util import make_atari_env
    from stable_baselines3.common.vec_env import VecFrameStack, VecTransposeImage

    gymnasium.register_envs(ale_py)
    game = config.env.task.removeprefix(ATARI)
    games = make_atari_env(f"{game}NoFrameskip-v4", n_envs=config.training.num_envs, seed=0)
    return VecTransposeImage(VecFrameStack(games, n_stack=config.env.frame_stack))


def stock_grids(config: RunConfig) -> VecEnv:
    """MiniGrid's Fetch with its own pictures, whole, as channels first."""
    from minigrid.wrappers import ImgObsWrapper, RGBImgObsWrapper

    def make() -> gymnasium.Env[Any, Any]:
        env = gymnasium.make("MiniGrid-Fetch-8x8-N3-v0", highlight=False)
        return gymnasium.wrappers.TransformObservation(
            ImgObsWrapper(RGBImgObsWrapper(env)),
            lambda obs: np.ascontiguousarray(obs.transpose(2, 0, 1)),
            gymnasium.spaces.Box(0, 255, (3, 64, 64), np.uint8),
        )

    return DummyVecEnv([make for _ in range(config.training.num_envs)])


# --- a plain loop, one operation after the other -------------------------------------------------------


@dataclass
class Plain:
    """PPO in float32, each step kept as it comes, as single-file implementations have it."""

    config: PPO
    streams: Streams
    nets: ppo.PolicyAndValue
    optimizer: torch.optim.Optimizer
    obs: torch.Tensor  # what is acted on next
    end: torch.Tensor  # whether it begins an episode

    def round(self) -> None:
        kept: dict[str, list[torch.Tensor]] = {}
        for _ in range(self.config.rollout_steps):
            self._step(kept)
        whole = {name: torch.stack(values) for name, values in kept.items()}
        advantages = self._advantages(whole)
        targets = advantages + whole["value"]
        flat = [whole[name].flatten(0, 1) for name in ("obs", "action", "log")]
        flat += [advantages.flatten(), targets.flatten()]
        count = len(flat[-1])
        for _ in range(self.config.epochs):
            for rows in torch.randperm(count).split(count // self.config.minibatches):
                self._update(*(value[rows] for value in flat))

    @torch.no_grad()
    def _step(self, kept: dict[str, list[torch.Tensor]]) -> None:
        distribution, value = self.nets(self.obs)
        chosen = torch.distributions.Categorical(logits=distribution.logits)
        action = chosen.sample()
        made = self.streams.step(action.numpy())
        row = {"obs": self.obs, "end": self.end, "action": action, "log": chosen.log_prob(action), "value": value}
        row["reward"] = torch.tensor(made.reward, dtype=torch.float32)
        for name, entry in row.items():
            kept.setdefault(name, []).append(entry)
        self.obs = torch.tensor(made.obs, dtype=torch.float32)
        self.end = torch.tensor(made.ended, dtype=torch.float32)

    @torch.no_grad()
    def _advantages(self, whole: dict[str, torch.Tensor]) -> torch.Tensor:
        value, ends = [*whole["value"], self.nets.values(self.obs)], [*whole["end"], self.end]
        advantages, carried = torch.zeros_like(whole["reward"]), torch.zeros(self.streams.num_envs)
        for step in reversed(range(self.config.rollout_steps)):
            alive = 1.0 - ends[step + 1]
            error = whole["reward"][step] + self.config.discount * value[step + 1] * alive - value[step]
            carried = error + self.config.discount * self.config.gae_lambda * alive * carried
            advantages[step] = carried
        return advantages

    def _update(
        self, obs: torch.Tensor, action: torch.Tensor, old: torch.Tensor, advantage: torch.Tensor, target: torch.Tensor
    ) -> None:
        distribution, value = self.nets(obs)
        chosen = torch.distributions.Categorical(logits=distribution.logits)
        ratio = (chosen.log_prob(action) - old).exp()
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        clipped = ratio.clamp(1 - self.config.clip_range, 1 + self.config.clip_range)
        loss = -torch.minimum(ratio * advantage, clipped * advantage).mean()
        loss = loss + self.config.value_weight * 0.5 * (value - target).square().mean()
        loss = loss - self.config.entropy_weight * chosen.entropy().mean()
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.nets.parameters(), self.config.max_gradient_norm)
        self.optimizer.step()


def plain_loop(config: RunConfig, streams: Streams) -> Round:
    torch.manual_seed(0)
    channels, height, width = streams.spaces.obs_shape
    convolutions = nature_convolutions(channels, (height, width), config.agent.trunk.filters)
    nets = ppo.PolicyAndValue(streams.spaces, config.agent, lambda: convolutions)
    optimizer = torch.optim.Adam(nets.parameters(), lr=config.agent.learning_rate, eps=config.agent.adam_epsilon)
    first = torch.tensor(streams.start(), dtype=torch.float32)
    return Plain(config.agent, streams, nets, optimizer, first, torch.zeros(streams.num_envs)).round


if __name__ == "__main__":
    main()
