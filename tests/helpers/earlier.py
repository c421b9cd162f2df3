"""Files as earlier versions wrote them."""

import json
import zipfile


def forget(path, *fields):
    """Remove fields of the spec from a saved model."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(content["config.json"])
    for field in fields:
        del config["config"]["preset"][field]
    content["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
