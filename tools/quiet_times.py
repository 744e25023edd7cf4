"""The seconds per epoch of `tools/results.sh quiet ID`, as one JSON object.

    quiet_times.py ID FOLDER

FOLDER holds `N/ID-seed0-.../result.json` (receptive, two epochs; the second is used, because the first warms up) and
`torchN.json` (`tests/peer/notebooks.py --time`).
"""
import json
import pathlib
import sys

row, folder = sys.argv[1], pathlib.Path(sys.argv[2])
ours = [json.loads(path.read_text()) for path in sorted(folder.glob("*/*/result.json"))]
torch = [json.loads(path.read_text()) for path in sorted(folder.glob("torch*.json"))]
first = ours[0]
times = {name: first[name] for name in ("id", "width", "machine", "simd", "threads", "commit")}
times["torch_version"] = torch[0]["torch"] if torch else ""
times["receptive"] = [round(result["curves"][0]["seconds"][1], 3) for result in ours]
times["torch"] = [round(result["seconds_per_epoch"], 3) for result in torch]
print("{\n" + ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in times.items()) + "\n}")
