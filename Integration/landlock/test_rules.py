"""How rules reach files, at the start and in a later exec."""

import os
import shutil

import pytest

from locking import everything, fill, landlock

READ = ["read_file", "read_dir"]


def read(inside, bundle, config, path):
    return inside.do(bundle, config, "read", path)


def test_a_file_keeps_the_rights_of_files(inside, bundle):
    """A rule may name files and directories at once."""
    shutil.copy(f"{bundle.rootfs}/place/file", f"{bundle.rootfs}/etc/single")
    config = landlock("write_file", "make_dir", rules=[(["write_file", "make_dir"], "/etc/single", "/place")])
    for deed, answer in ((("write", "/etc/single"), "ok"), (("write", "/etc/passwd"), "EACCES"), (("write", "/place/file"), "ok"),
                         (("mkdir", "/place/new"), "ok"), (("mkdir", "/other/new"), "EACCES")):
        assert inside.do(bundle, None, *deed) == "ok"
        shutil.rmtree(f"{bundle.rootfs}/other/new", ignore_errors=True)
        assert inside.do(bundle, config, *deed) == answer


def test_links_lead_to_their_target(inside, bundle):
    os.symlink("/place", f"{bundle.rootfs}/link")
    config = landlock(*READ, rules=[(READ, "/link", "/bin")])
    assert read(inside, bundle, config, "/place/file") == "ok"
    assert read(inside, bundle, config, "/other/file") == "EACCES"


def test_links_stay_in_the_root(inside, bundle, work):
    """A link of the image that climbs out names a place in the image."""
    os.makedirs(f"{work}/host")
    os.makedirs(f"{bundle.rootfs}/{work}/host")
    os.symlink("../" * 20 + f"{work}/host", f"{bundle.rootfs}/link")
    with open(f"{bundle.rootfs}/{work}/host/file", "w") as f:
        f.write("inside")
    assert read(inside, bundle, landlock(*READ, rules=[(READ, "/link", "/bin")]), f"{work}/host/file") == "ok"


@pytest.mark.parametrize("path", ["/no/such", "/place/file/below"])
def test_missing(runtime, bundle, path):
    bundle.config["process"]["landlock"] = landlock(*READ, rules=[(READ, "/bin", path)])
    runtime.run(bundle).failed("/process/landlock/rules/pathBeneath/0/paths/1", path, code=1)


def test_optional(inside, bundle):
    config = landlock(*READ, rules=[(READ, "/bin", "/no/such")])
    config["rules"]["pathBeneath"][0]["optional"] = True
    bundle.config["process"].update(landlock=config, args=["/bin/sleep", "100"])
    created = inside.runtime.create(bundle).ok()
    assert "warning" in created.err and "/no/such" in created.err
    inside.runtime.call("start", created.id).ok()
    # Who makes it later gets no rights for it.
    shutil.copytree(f"{bundle.rootfs}/place", f"{bundle.rootfs}/no/such")
    assert inside.runtime.exec(created.id, "/bin/lock", "read", "/no/such/file").out == "EACCES\n"


def test_rights_of_directories_on_a_file(runtime, bundle):
    bundle.config["process"]["landlock"] = landlock(*READ, rules=[(READ, "/bin"), ("read_dir", "/place/file")])
    runtime.run(bundle).failed("/process/landlock/rules/pathBeneath/1/paths/0", "is not a directory", "read_dir", code=1)


def test_narrower_below_wider(runtime, bundle):
    bundle.config["process"]["landlock"] = landlock("write_file", *READ, rules=[(["write_file", *READ], "/place"), (READ, "/place/directory")])
    runtime.run(bundle).failed("/process/landlock/rules/pathBeneath/1/paths/0", "which also allows write_file", "read-only", code=1)


def test_narrower_directory_with_rights_of_files(runtime, bundle):
    """Only the root file system shows that it is a directory."""
    bundle.config["process"]["landlock"] = landlock(*READ, rules=[(READ, "/place"), ("read_file", "/place/directory")])
    runtime.run(bundle).failed("/process/landlock/rules/pathBeneath/1/paths/0", "which also allows read_dir", code=1)
    bundle.config["process"]["landlock"] = landlock(*READ, rules=[(READ, "/place", "/bin"), ("read_file", "/place/file")])
    runtime.run(bundle).ok()


def test_one_directory_by_two_names(runtime, bundle):
    os.symlink("place", f"{bundle.rootfs}/link")
    bundle.config["process"]["landlock"] = landlock("write_file", *READ, rules=[(READ, "/place"), (["write_file", *READ], "/link")])
    runtime.run(bundle).failed("/process/landlock/rules/pathBeneath/1/paths/0", "same file", code=1)
    bundle.config["process"]["landlock"] = landlock("write_file", *READ, rules=[(READ, "/bin", "/place", "/link")])
    runtime.run(bundle).ok()


def test_read_only_mount_narrows(inside, bundle):
    """What the refusal advises."""
    config = landlock("write_file", *READ, rules=[(["write_file", *READ], "/place"), (READ, "/bin")])
    assert inside.do(bundle, config, "write", "/place/file") == "ok"
    fill(bundle.rootfs)
    bundle.mount("/place/directory", f"{bundle.rootfs}/other", options=("rbind", "ro"))
    assert inside.do(bundle, config, "read", "/place/directory/file") == "ok"
    assert inside.do(bundle, config, "write", "/place/directory/file") == "EROFS"


def swap(path):
    os.rename(path, path + ".old")


@pytest.mark.parametrize("replace", [
    lambda r: os.symlink("/other", f"{r}/place"), lambda r: os.symlink("/", f"{r}/place"),
    lambda r: shutil.copytree(f"{r}/place.old", f"{r}/place"), lambda r: None], ids=["link", "link to root", "copy", "gone"])
def test_exec_gives_nothing_for_a_replaced_path(runtime, bundle, replace):
    """Whoever is in the container can exchange directories; an exec after that must not get rights on what lies there now."""
    bundle.config["process"].update(landlock=landlock(*READ, rules=[(READ, "/bin", "/place")]), args=["/bin/sleep", "100"])
    id = runtime.start_detached(bundle)
    assert runtime.exec(id, "/bin/lock", "read", "/place/file").out == "ok\n"
    assert runtime.exec(id, "/bin/lock", "read", "/other/file").out == "EACCES\n"
    swap(f"{bundle.rootfs}/place")
    replace(bundle.rootfs)
    for path in ("/other/file", "/place/file", "/etc/passwd"):
        r = runtime.exec(id, "/bin/lock", "read", path)
        assert r.out in ("EACCES\n", "ENOENT\n") and "Landlock allows nothing at /place" in r.err


def test_exec_without_the_record(runtime, bundle):
    bundle.config["process"].update(landlock=landlock(*READ, rules=[(READ, "/bin")]), args=["/bin/sleep", "100"])
    id = runtime.start_detached(bundle)
    os.unlink(f"{runtime.root}/{id}/landlock")
    runtime.exec(id, "/bin/lock", "read", "/bin/lock").failed("landlock", "ENOENT")


def test_exec_document(runtime, bundle, work):
    """A document cannot widen the restrictions, nor take no_new_privs away."""
    import json
    config = landlock(*READ, rules=[(READ, "/bin", "/proc")])
    bundle.config["process"].update(landlock=config, args=["/bin/sleep", "100"])
    id = runtime.start_detached(bundle)

    def exec_document(**members):
        with open(f"{work}/process.json", "w") as f:
            json.dump({"cwd": "/", "args": ["/bin/sh", "-c", "/bin/lock read /other/file; grep NoNewPrivs /proc/self/status"], **members}, f)
        return runtime.call("exec", "--process", f"{work}/process.json", id)
    assert exec_document(noNewPrivileges=False).ok().out == "EACCES\nNoNewPrivs:\t1\n"
    assert exec_document(noNewPrivileges=True, landlock=config).ok().out == "EACCES\nNoNewPrivs:\t1\n"
    exec_document(noNewPrivileges=True, landlock=landlock(*READ, rules=[(READ, "/")])).failed("/landlock", "differs from the container's")


@pytest.mark.parametrize("flags", [["--cap", "CAP_SYS_ADMIN"], ["--user", "1000:1000"]])
def test_exec_flags_do_not_matter(runtime, bundle, flags):
    bundle.config["process"].update(landlock=everything(), args=["/bin/sleep", "100"])
    id = runtime.start_detached(bundle)
    assert runtime.exec(*flags, id, "/bin/lock", "read", "/other/file").out == "EACCES\n"


def test_every_start_is_restricted(runtime, bundle):
    bundle.config["process"].update(landlock=everything(), args=["/bin/lock", "read", "/other/file"])
    for _ in range(3):
        assert runtime.run(bundle).out == "EACCES\n"


def test_hooks_are_not_restricted(runtime, bundle, work):
    bundle.config["process"].update(landlock=everything(), args=["/bin/lock", "read", "/other/file"])
    hook = {"path": "/bin/touch", "args": ["touch", "/other/hook"]}
    bundle.config["hooks"] = {"startContainer": [hook]}
    assert runtime.run(bundle).out == "EACCES\n"
    assert os.path.exists(f"{bundle.rootfs}/other/hook")
