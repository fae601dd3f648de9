"""The highway's MuJoCo model: a road, four kinds of car and what stands beside it. It has no physics of its own.

MuJoCo's axes are forwards, to the left and up, in metres. Everything near a car moves with it in whole periods
of its own, so that an endless road needs only a few hundred shapes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saccade.envs.tasks.driving.traffic import LANE_WIDTH, SHOULDER

DASH, DASH_PERIOD, DASH_REACH = 3.0, 12.0, 168.0
GROUND_PERIOD = 20.0  # metres after which grass and asphalt look the same again
POST_PERIOD, POST_REACH = 8.0, 96.0
SCENERY_PERIOD, SCENERIES = 120.0, 3
CAMERA = "chase"
EGO = "ego"
BEAMS = 5  # nested shapes of light on the road in front of the ego
DECALS = 2  # the group of light and shade, which are no solid things
CHASE_BACK, CHASE_UP, CHASE_DOWN_DEGREES, FIELD_OF_VIEW = 8.2, 3.3, 10.5, 52

KINDS = ("saloon", "estate", "van", "truck")
"""The kinds of car, in the order in which the other cars get them."""

# Corners of the solid parts of a car's right half, each (forwards, to the side, up): body, glass, roof. Convex.
BODIES = {
    "saloon": (
        ((2.3, 0.80, 0.32), (-2.32, 0.82, 0.34), (2.36, 0.86, 0.56), (-2.38, 0.90, 0.62), (2.2, 0.80, 0.76),
         (1.05, 0.92, 0.93), (-1.75, 0.92, 1.0), (-2.32, 0.82, 0.96), (1.4, 0.96, 0.6), (-1.4, 0.97, 0.62)),
        ((1.05, 0.84, 0.92), (-1.85, 0.84, 0.98), (0.25, 0.66, 1.40), (-1.15, 0.68, 1.40)),
        ((0.30, 0.64, 1.39), (-1.2, 0.66, 1.39), (0.18, 0.58, 1.46), (-1.05, 0.60, 1.46)),
    ),
    "estate": (
        ((2.25, 0.82, 0.38), (-2.30, 0.84, 0.40), (2.34, 0.88, 0.64), (-2.36, 0.92, 0.70), (2.15, 0.82, 0.95),
         (1.1, 0.94, 1.06), (-2.30, 0.92, 1.10), (1.4, 0.97, 0.7), (-1.4, 0.98, 0.7)),
        ((1.1, 0.86, 1.05), (-2.24, 0.86, 1.08), (0.45, 0.70, 1.62), (-1.95, 0.72, 1.62)),
        ((0.52, 0.69, 1.60), (-2.0, 0.71, 1.60), (0.4, 0.62, 1.69), (-1.85, 0.64, 1.69)),
    ),
    "van": (
        ((2.3, 0.86, 0.36), (-2.34, 0.90, 0.38), (2.38, 0.92, 0.70), (2.1, 0.92, 1.10), (-2.36, 0.97, 0.7),
         (-2.36, 0.95, 1.28), (1.5, 0.95, 1.25)),
        ((1.95, 0.88, 1.14), (-2.30, 0.92, 1.26), (1.05, 0.80, 1.86), (-2.22, 0.84, 1.86)),
        ((1.12, 0.80, 1.84), (-2.26, 0.85, 1.84), (0.9, 0.74, 1.98), (-2.15, 0.78, 1.98)),
    ),
    "truck": (
        ((2.3, 0.90, 0.40), (-2.38, 0.90, 0.45), (2.38, 0.94, 0.80), (2.3, 0.94, 1.25), (1.2, 0.95, 1.3),
         (-2.40, 0.92, 0.72), (-2.40, 0.90, 0.80)),
        ((2.28, 0.88, 1.24), (1.20, 0.90, 1.24), (1.95, 0.82, 2.05), (1.20, 0.84, 2.05)),
        ((1.05, 0.99, 0.78), (-2.42, 0.99, 0.78), (1.05, 0.99, 2.75), (-2.42, 0.99, 2.75)),
    ),
}  # fmt: skip
TAIL = {"saloon": (-2.36, 0.80), "estate": (-2.34, 0.96), "van": (-2.37, 0.95), "truck": (-2.42, 0.62)}
HEAD = {"saloon": (2.27, 0.68), "estate": (2.23, 0.80), "van": (2.30, 0.80), "truck": (2.36, 0.72)}


def model_xml(lanes: int, others: int, side: int) -> str:
    """Return the XML of a road with these lanes and cars besides the ego, for pictures of ``side`` pixels.

    Lane 0, the leftmost, has its middle at 0.
    """
    middle = -(lanes - 1) * LANE_WIDTH / 2
    half = lanes * LANE_WIDTH / 2 + SHOULDER
    cars = "".join(_car(f"car{number}", KINDS[number % len(KINDS)]) for number in range(others))
    sceneries = "".join(
        f'<body name="scenery{number}" mocap="true">{_scenery(middle, half)}</body>' for number in range(SCENERIES)
    )
    return f"""
<mujoco model="highway">
  <compiler angle="degree"/>
  <option><flag contact="disable"/></option>
  <statistic extent="1" center="0 0 0"/>
  <visual>
    <global offwidth="{side}" offheight="{side}"/>
    <map znear="0.8" zfar="680" fogstart="70" fogend="480" shadowclip="1"/>
    <quality numslices="10" numstacks="6" numquads="1" shadowsize="0"/>
    <headlight active="1" ambient="0.4 0.4 0.4" diffuse="0.08 0.08 0.08" specular="0 0 0"/>
  </visual>
  <asset>
    <texture name="skybox" type="skybox" builtin="gradient" rgb1="0.25 0.48 0.82" rgb2="0.8 0.88 0.95"
      width="128" height="768"/>
    <texture name="asphalt" type="2d" builtin="flat" rgb1="0.31 0.31 0.33" width="256" height="256" mark="random"
      markrgb="0.35 0.35 0.37" random="0.3"/>
    <texture name="grass" type="2d" builtin="flat" rgb1="0.30 0.42 0.20" width="128" height="128" mark="random"
      markrgb="0.36 0.47 0.22" random="0.35"/>
    <material name="asphalt" texture="asphalt" texuniform="true" texrepeat="0.1 0.1" specular="0" shininess="0"/>
    <material name="grass" texture="grass" texuniform="true" texrepeat="0.05 0.05" specular="0" shininess="0"/>
    <material name="marking" rgba="0.92 0.92 0.88 1" specular="0" emission="0.1"/>
    <material name="yellow" rgba="0.90 0.72 0.15 1" specular="0" emission="0.1"/>
    <material name="rail" rgba="0.62 0.64 0.66 1" specular="0.4" shininess="0.4"/>
    <material name="paint" rgba="1 1 1 1" specular="0.6" shininess="0.7"/>
    <material name="glass" rgba="0.07 0.09 0.12 1" specular="0.9" shininess="0.9"/>
    <material name="tyre" rgba="0.05 0.05 0.06 1" specular="0.1"/>
    <material name="hub" rgba="0.66 0.68 0.70 1" specular="0.6"/>
    <material name="plastic" rgba="0.10 0.10 0.11 1" specular="0.2"/>
    <material name="plate" rgba="0.90 0.90 0.86 1" specular="0"/>
    <material name="tail" rgba="0.75 0.05 0.04 1" emission="0.15" specular="0"/>
    <material name="brake" rgba="1.0 0.16 0.10 1" emission="1" specular="0"/>
    <material name="head" rgba="1.0 0.97 0.85 1" emission="0.15" specular="0"/>
    <material name="glow" rgba="1.0 0.10 0.05 0" emission="1" specular="0"/>
    <material name="beam" rgba="1.0 0.92 0.70 0" emission="0.8" specular="0"/>
    <material name="shade" rgba="0 0 0 0.5" specular="0"/>
    <material name="trunk" rgba="0.30 0.22 0.15 1" specular="0"/>
    <material name="leaf" rgba="0.20 0.36 0.16 1" specular="0"/>
    <material name="leaf2" rgba="0.27 0.41 0.15 1" specular="0"/>
    <material name="fir" rgba="0.13 0.28 0.17 1" specular="0"/>
    <material name="hill" rgba="0.33 0.43 0.36 1" specular="0"/>
    <material name="lamp" rgba="1 0.9 0.65 1" emission="0.15" specular="0"/>
    <material name="disc" rgba="1 0.9 0.6 0" emission="1" specular="0"/>
    {_meshes()}
  </asset>
  <worldbody>
    <light name="sun" directional="true" castshadow="false" pos="0 0 60" dir="0.5 -0.5 -1" diffuse="0.6 0.6 0.55"
      specular="0.3 0.3 0.3" ambient="0 0 0"/>
    <body name="ground" mocap="true">
      <geom name="grass" type="plane" size="700 700 700" pos="0 0 -0.25" material="grass"/>
      <geom name="road" type="plane" size="700 {half} 700" pos="0 {middle} 0" material="asphalt"/>
    </body>
    <body name="horizon" mocap="true">{_horizon()}</body>
    <body name="along" mocap="true">{_along(middle, half)}</body>
    <body name="dashes" mocap="true">{_dashes(lanes)}</body>
    <body name="posts" mocap="true">{_posts(middle, half)}</body>
    {sceneries}
    {_car(EGO, "saloon", camera=True)}
    {cars}
  </worldbody>
</mujoco>"""


def _meshes() -> str:
    elements = []
    for kind, parts in BODIES.items():
        for part, corners in zip(("body", "glass", "roof"), parts, strict=True):
            both = [corner for x, y, z in corners for corner in ((x, y, z), (x, -y, z))]
            elements.append(_mesh(f"{kind}_{part}", both))
    turn = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    ring = [(np.cos(angle), np.sin(angle), 0.0) for angle in turn]
    elements.append(_mesh("fir", [*((1.9 * x, 1.9 * y, 0) for x, y, _ in ring), (0, 0, 6.5)]))
    shade = np.sign(np.array(ring)) * np.abs(np.array(ring)) ** 0.5 * (2.42, 1.02, 0)
    elements.append(_mesh("shade", [(x, y, z) for x, y, _ in shade.tolist() for z in (0.016, 0.008)]))
    for number in range(BEAMS):
        near, far, narrow, wide = 0.1 + 0.3 * number, 9.0 + 4.5 * number, 0.85 - 0.05 * number, 1.6 + 0.45 * number
        flat = [
            (near, narrow),
            (far * 0.6, wide),
            (far * 0.85, wide * 0.85),
            (far * 0.96, wide * 0.5),
            (far, wide * 0.2),
        ]
        height = 0.02 + 0.008 * number
        beam = [(x, side * y, z) for x, y in flat for side in (1, -1) for z in (height, height + 0.004)]
        elements.append(_mesh(f"beam{number}", beam))
    return "".join(elements)


def _mesh(name: str, corners: Sequence[tuple[float, ...]]) -> str:
    numbers = "  ".join(" ".join(f"{value:.4g}" for value in corner) for corner in corners)
    return f'<mesh name="{name}" vertex="{numbers}"/>'


def _box(material: str, place: tuple[float, ...], half: tuple[float, ...], more: str = "") -> str:
    x, y, z = place
    a, b, c = half
    return f'<geom type="box" material="{material}" pos="{x:g} {y:g} {z:g}" size="{a:g} {b:g} {c:g}" {more}/>'


def _car(name: str, kind: str, camera: bool = False) -> str:
    """A mocap body on its wheels; its paint is that of the geoms ``NAME_body`` and ``NAME_roof``."""
    tail_x, tail_z = TAIL[kind]
    head_x, head_z = HEAD[kind]
    elements = [
        f'<geom name="{name}_{part}" type="mesh" mesh="{kind}_{part}" material="{material}"/>'
        for part, material in (("body", "paint"), ("roof", "paint"), ("glass", "glass"))
    ]
    radius = 0.36 if kind in ("saloon", "estate") else 0.42
    for x in (1.42, -1.42):
        for side in (1, -1):
            for material, size, width in (("tyre", radius, 0.13), ("hub", radius * 0.6, 0.14)):
                elements.append(
                    f'<geom type="cylinder" material="{material}" pos="{x} {side * 0.86} {radius}" '
                    f'size="{size:.3g} {width}" euler="90 0 0"/>'
                )
    for side, which in ((1, "left"), (-1, "right")):
        tall = 0.10 if kind in ("saloon", "truck") else 0.2
        elements.append(_box("tail", (tail_x, side * 0.68, tail_z), (0.035, 0.17, tall), f'name="{name}_tail_{which}"'))
        elements.append(_box("head", (head_x, side * 0.62, head_z), (0.06, 0.18, 0.08)))
        for spread in (1.0, 1.6, 2.3) if camera else (1.4, 2.1):
            elements.append(
                f'<geom type="ellipsoid" group="{DECALS}" material="glow" '
                f'pos="{tail_x - 0.05:g} {side * 0.68} {tail_z:g}" '
                f'size="0.06 {0.20 * spread:.3g} {0.13 * spread:.3g}"/>'
            )
    elements.append(_box("plate", (tail_x - 0.02, 0, tail_z - 0.22), (0.02, 0.26, 0.06)))
    elements.append(_box("plastic", (tail_x + 0.04, 0, 0.42), (0.05, 0.84, 0.09)))
    elements.append(f'<geom type="mesh" mesh="shade" group="{DECALS}" material="shade"/>')
    for number in range(BEAMS) if camera else (1, 3):
        elements.append(f'<geom type="mesh" mesh="beam{number}" group="{DECALS}" material="beam" pos="2.2 0 0"/>')
    if camera:
        elements.append(
            f'<camera name="{CAMERA}" pos="{-CHASE_BACK} 0 {CHASE_UP}" xyaxes="{_axes(CHASE_DOWN_DEGREES)}" '
            f'fovy="{FIELD_OF_VIEW}"/>'
        )
    return f'<body name="{name}" mocap="true">{"".join(elements)}</body>'


def _axes(down: float) -> str:
    tilt = np.deg2rad(down)
    return f"0 -1 0 {np.sin(tilt):.6g} 0 {np.cos(tilt):.6g}"


def _along(middle: float, half: float) -> str:
    """What looks the same along the whole road: its edge lines and guard rails."""
    elements = [_box("yellow", (60, middle + half - SHOULDER, 0.012), (180, 0.10, 0.01))]
    elements.append(_box("marking", (60, middle - half + SHOULDER, 0.012), (180, 0.10, 0.01)))
    for side in (1, -1):
        elements.append(_box("rail", (60, middle + side * (half + 0.2), 0.62), (180, 0.05, 0.15)))
    return "".join(elements)


def _dashes(lanes: int) -> str:
    between = [-LANE_WIDTH * (lane + 0.5) for lane in range(lanes - 1)]
    starts = np.arange(-2 * DASH_PERIOD, DASH_REACH, DASH_PERIOD)
    return "".join(_box("marking", (float(x), y, 0.012), (DASH / 2, 0.09, 0.01)) for y in between for x in starts)


def _posts(middle: float, half: float) -> str:
    starts = np.arange(-POST_PERIOD, POST_REACH, POST_PERIOD)
    return "".join(
        _box("rail", (float(x), middle + side * (half + 0.3), 0.2), (0.07, 0.05, 0.45))
        for x in starts
        for side in (1, -1)
    )


def _scenery(middle: float, half: float) -> str:
    """Trees and lamps of one period: the same in every period and run."""
    random = np.random.default_rng(4)
    elements = []
    for side in (1, -1):
        for start in np.linspace(0, SCENERY_PERIOD, 7, endpoint=False):
            x = start + random.uniform(0, 14)
            y = middle + side * (half + random.uniform(6, 26))
            tall = random.uniform(0.8, 1.5)
            if random.random() < 0.45:
                elements.append(f'<geom type="mesh" mesh="fir" material="fir" pos="{x:.4g} {y:.4g} {0.6 * tall:.3g}"/>')
                elements.append(_cylinder("trunk", x, y, 0.5, 0.22, 0.8))
            else:
                leaf = "leaf" if random.random() < 0.5 else "leaf2"
                elements.append(_cylinder("trunk", x, y, 1.2 * tall, 0.22, 1.6 * tall))
                wide, high = random.uniform(1.6, 2.6) * tall, random.uniform(1.8, 2.6) * tall
                elements.append(
                    f'<geom type="ellipsoid" material="{leaf}" pos="{x:.4g} {y:.4g} {2.4 * tall + high * 0.6:.4g}" '
                    f'size="{wide:.3g} {wide:.3g} {high:.3g}"/>'
                )
    for side, x in ((1, 20.0), (-1, 80.0)):
        y = middle + side * (half + 1.2)
        elements.append(_cylinder("rail", x, y, 4.0, 0.09, 4.3))
        elements.append(_box("rail", (x, y - side * 1.2, 8.2), (0.06, 1.25, 0.05)))
        elements.append(_box("lamp", (x, y - side * 2.3, 8.1), (0.22, 0.45, 0.07)))
    return "".join(elements)


def _cylinder(material: str, x: float, y: float, z: float, radius: float, half: float) -> str:
    return f'<geom type="cylinder" material="{material}" pos="{x:.4g} {y:.4g} {z:.4g}" size="{radius:g} {half:g}"/>'


def _horizon() -> str:
    """Hills that never come nearer, and the sun."""
    hills = ((320, 150, 150, 26), (340, 40, 120, 17), (330, -70, 140, 22), (320, -190, 130, 32), (340, 260, 150, 34))
    elements = [
        f'<geom type="ellipsoid" material="hill" pos="{x} {y} -4" size="60 {wide} {high}"/>'
        for x, y, wide, high in hills
    ]
    elements.append(f'<geom type="ellipsoid" group="{DECALS}" material="disc" pos="300 -62 26" size="3 13 13"/>')
    return "".join(elements)
