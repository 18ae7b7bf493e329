"""Images made by hand, so that a test can put anything into them."""

import gzip
import hashlib
import io
import json
import os
import platform
import tarfile

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]


def entry(name, kind=tarfile.REGTYPE, data=b"", mode=0o644, **more):
    """One entry of a layer: (TarInfo, content)."""
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mode = kind, len(data), mode
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def directory(name, mode=0o755, **more):
    return entry(name, tarfile.DIRTYPE, mode=mode, **more)


def symlink(name, target):
    return entry(name, tarfile.SYMTYPE, linkname=target)


def hard_link(name, target):
    return entry(name, tarfile.LNKTYPE, linkname=target)


def layer(*entries, format=tarfile.PAX_FORMAT):
    """A layer's archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data) if data else None)
    return out.getvalue()


def tree_layer(path):
    """A layer that holds a directory of the host."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.add(path, arcname=".")
    return out.getvalue()


def entries_of(data):
    """The entries of a layer."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return [(info, archive.extractfile(info).read() if info.isreg() else b"") for info in archive]


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Layout:
    """An OCI image layout that is being made; `blobs` and `index` may be changed before `write`."""

    def __init__(self, layers, compress=True, name=None):
        self.blobs = {}
        stored = [gzip.compress(l, 1, mtime=0) if compress else l for l in layers]
        kind = "application/vnd.oci.image.layer.v1.tar" + ("+gzip" if compress else "")
        self.config = self.add(json.dumps({
            "architecture": ARCHITECTURE, "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest(l) for l in layers]}}).encode())
        self.layers = [self.add(blob, kind) for blob in stored]
        self.manifest = self.add(json.dumps({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": self.config,
            "layers": self.layers}).encode(), "application/vnd.oci.image.manifest.v1+json")
        if name:
            self.manifest["annotations"] = {"org.opencontainers.image.ref.name": name}
        self.index = [self.manifest]

    def add(self, data, kind="application/vnd.oci.image.config.v1+json"):
        self.blobs[digest(data)] = data
        return {"mediaType": kind, "digest": digest(data), "size": len(data)}

    def files(self):
        yield "oci-layout", b'{"imageLayoutVersion":"1.0.0"}'
        yield "index.json", json.dumps({"schemaVersion": 2, "manifests": self.index}).encode()
        for name, data in self.blobs.items():
            yield "blobs/sha256/" + name.removeprefix("sha256:"), data

    def write(self, path, as_tar=False):
        if as_tar:
            with tarfile.open(path, "w") as archive:
                for name, data in self.files():
                    archive.addfile(entry(name, data=data)[0], io.BytesIO(data))
        else:
            for name, data in self.files():
                os.makedirs(os.path.dirname(f"{path}/{name}"), exist_ok=True)
                with open(f"{path}/{name}", "wb") as f:
                    f.write(data)
        return path


def docker_archive(path, layers, tag="test:latest", diff_ids=None):
    """What `docker save` writes."""
    config = json.dumps({
        "architecture": ARCHITECTURE, "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids or [digest(l) for l in layers]}}).encode()
    names = [f"{n}/layer.tar" for n in range(len(layers))]
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [tag], "Layers": names}]).encode()
    with tarfile.open(path, "w") as archive:
        for name, data in [(config_name, config), ("manifest.json", manifest), *zip(names, layers)]:
            archive.addfile(entry(name, data=data)[0], io.BytesIO(data))
    return path
