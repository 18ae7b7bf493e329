"""Landlock configurations, and bundles to try them on."""

import os
import shutil

FILES = ["execute", "write_file", "read_file", "read_dir", "remove_dir", "remove_file", "make_char", "make_dir", "make_reg", "make_sock",
         "make_fifo", "make_block", "make_sym", "refer", "truncate", "ioctl_dev"]
PORTS = ["bind_tcp", "connect_tcp"]
SCOPES = ["abstract_unix_socket", "signal"]

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446


def landlock(*rights, rules=(), ports=(), flags=(), **more):
    """A configuration that handles `rights` of any kind. A rule is (rights, path, ...), one for ports (rights, number, ...)."""
    ruleset = {}
    for member, table in (("handledAccessFS", FILES), ("handledAccessNet", PORTS), ("scoped", SCOPES)):
        chosen = [r for r in rights if r in table]
        if chosen:
            ruleset[member] = chosen
    if flags:
        ruleset["flags"] = list(flags)
    config = {"ruleset": ruleset, **more}
    for member, key, entries in (("pathBeneath", "paths", rules), ("netPort", "ports", ports)):
        if entries:
            config.setdefault("rules", {})[member] = [{"allowedAccess": r if isinstance(r, list) else [r], key: list(where)}
                                                      for r, *where in entries]
    return config


def everything(**more):
    """All of it, with just enough allowed for a shell and its tools."""
    return landlock(*FILES, *PORTS, *SCOPES, rules=[(["execute", "read_file", "read_dir"], "/bin")], **more)


def fill(rootfs):
    """Puts the same things into /place and /other again, without replacing these two."""
    for name in ("place", "other"):
        directory = f"{rootfs}/{name}"
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, 0o777)
        for entry in os.scandir(directory):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
        with open(f"{directory}/file", "w") as f:
            f.write("content\n")
        os.chmod(f"{directory}/file", 0o666)
        os.mkdir(f"{directory}/directory")
        os.chmod(f"{directory}/directory", 0o777)
        shutil.copy(f"{rootfs}/bin/lock", f"{directory}/program")
        os.chmod(f"{directory}/program", 0o755)
