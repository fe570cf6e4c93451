"""Records CGNet's author's own network: `cgnet.py CLONE`, a clone of github wutianyiRosun/CGNet at cfccea37.

Its names and shapes, and its scores of noise, weights by the rule over these names. Needs torch alone.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parents[1]
sys.path[:0] = [str(HERE.parent / "support"), sys.argv[1]]
import weights_rule  # noqa: E402
from model.CGNet import Context_Guided_Network  # noqa: E402

torch.set_num_threads(1)
network = weights_rule.fill(Context_Guided_Network(classes=11)).eval()
state = network.state_dict()
keys = [[name, list(value.shape), str(value.dtype).removeprefix("torch.")] for name, value in state.items()]
(HERE / "keys/author").mkdir(exist_ok=True)
(HERE / "keys/author/cgnet_m3n21_11classes.json").write_text(json.dumps(keys))
noise = torch.randn(1, 3, 45, 60, generator=torch.Generator().manual_seed(0))
with torch.inference_mode():
    scores = network(noise)
np.savez_compressed(HERE / "author/cgnet.npz", images=noise, scores=scores[:, :, ::4, ::4].numpy())
