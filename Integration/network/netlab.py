"""A small internet of network namespaces: `host`, in which runtimes and the hook run, and `world` behind it. Nothing of it is in
the machine's own namespace."""

import json
import os
import secrets
import subprocess
import sys
import time

from harness import Bundle, Runtime
from harness.runtime import NEMOSHELL, Result

HERE = os.path.dirname(os.path.abspath(__file__))
HOOK = os.path.join(os.path.dirname(NEMOSHELL), "nemoshell-network")

#: Addresses of the world: `WORLD` is what policies name, `OTHER` the neighbour that they do not.
WORLD, OTHER, HOST = "10.9.0.2", "10.9.0.3", "10.9.0.1"
WORLD6, OTHER6, HOST6 = "fd09::2", "fd09::3", "fd09::1"

#: Echoes on TCP and UDP, on every address and the ports of its arguments; tells each datagram
#: and connection on its output.
SERVER = r"""
import json, selectors, socket, subprocess, sys
found = json.loads(subprocess.check_output(["ip", "-j", "address"]))
addresses = [a["local"] for link in found for a in link["addr_info"] if a["scope"] != "link"]
selector = selectors.DefaultSelector()
for port in map(int, sys.argv[1:]):
    for address in addresses:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((address, port))
            if kind == socket.SOCK_STREAM:
                s.listen(100)
            selector.register(s, selectors.EVENT_READ, (kind, port))
print("ready", flush=True)
while True:
    for key, _ in selector.select():
        kind, port = key.data
        if kind == socket.SOCK_STREAM:
            connection, peer = key.fileobj.accept()
            print("tcp", port, peer[0], flush=True)
            connection.close()
        else:
            data, peer = key.fileobj.recvfrom(65536)
            print("udp", port, peer[0], len(data), flush=True)
            key.fileobj.sendto(data, peer)
"""


def call(*argv, stdin=None, timeout=30, check=False):
    p = subprocess.run([str(a) for a in argv], input=stdin, capture_output=True, text=True, timeout=timeout)
    result = Result(argv, p.returncode if p.returncode >= 0 else 128 - p.returncode, p.stdout, p.stderr)
    return result.ok() if check else result


class Server:
    """Echo servers in one namespace."""

    def __init__(self, enter, log, *ports):
        self.log = log
        self._out = open(log, "w")
        self._process = subprocess.Popen([*enter, sys.executable, "-c", SERVER, *map(str, ports)], stdout=self._out,
                                         stdin=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while "ready" not in self.seen():
            assert self._process.poll() is None and time.monotonic() < end, "the server did not start"
            time.sleep(0.01)

    def seen(self):
        with open(self.log) as f:
            return f.read().split("\n")[:-1]

    def heard(self, prefix):
        return [line for line in self.seen() if line.startswith(prefix)]

    def close(self):
        self._process.kill()
        self._process.wait()
        self._out.close()


#: crun 1.8 makes no container on a hybrid machine while the empty cgroup v2 hierarchy is mounted: it gets mounts without it.
CRUN_MOUNTS = ["unshare", "--mount", "sh", "-c",
               'if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi; exec "$@"', "sh"]


class LabRuntime(Runtime):
    """A runtime that works in the lab's `host`."""

    def __init__(self, lab, binary):
        super().__init__(f"{lab.work}/runtime-{os.path.basename(binary)}", binary)
        self.lab = lab

    def argv(self, *args):
        mounts = CRUN_MOUNTS if os.path.basename(self.binary) == "crun" else []
        return [*self.lab.enter("host"), *mounts, *super().argv(*args)]


class Lab:
    """Two namespaces, `host` and `world`, joined by a cable; the host forwards, and its way out leads to the world."""

    def __init__(self, work):
        self.work = work
        self.root = f"{work}/network"
        self.token = "nst" + secrets.token_hex(3)
        self.names = {"host": self.token + "h", "world": self.token + "w"}
        self._closers = []
        for name in self.names.values():
            call("ip", "netns", "add", name, check=True)
        self.ip("host", "link", "add", "uplink", "type", "veth", "peer", "name", "cable", "netns", self.names["world"])
        for place, device, addresses in (("host", "uplink", [HOST, HOST6]),
                                         ("world", "cable", [WORLD, OTHER, WORLD6, OTHER6])):
            for address in addresses:
                bits, extra = ("64", ["nodad"]) if ":" in address else ("24", [])
                self.ip(place, "address", "add", f"{address}/{bits}", "dev", device, *extra)
            for link in ("lo", device):
                self.ip(place, "link", "set", link, "up")
        # Nobody has to ask for hardware addresses, so that the first packet is as fast as the second.
        for place, device, other, addresses in (("host", "uplink", ("world", "cable"), [WORLD, OTHER, WORLD6, OTHER6]),
                                                ("world", "cable", ("host", "uplink"), [HOST, HOST6])):
            hardware = json.loads(self.ip(other[0], "-j", "link", "show", other[1]))[0]["address"]
            for address in addresses:
                self.ip(place, "neighbour", "add", address, "lladdr", hardware, "dev", device)
        self.ip("host", "route", "add", "default", "via", WORLD)
        self.ip("host", "-6", "route", "add", "default", "via", WORLD6)
        for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            self.sysctl(name, 1)

    def enter(self, place):
        return ["nsenter", f"--net=/run/netns/{self.names[place]}"]

    def at(self, place, *argv, **kw):
        return call(*self.enter(place), *argv, **kw)

    def ip(self, place, *argv):
        return call("ip", "-n", self.names[place], *argv, check=True).out

    def sysctl(self, name, value):
        self.at("host", "sh", "-c", f"echo {value} > /proc/sys/net/{name}", check=True)

    def serve(self, place, *ports):
        server = Server(self.enter(place), f"{self.work}/server-{len(self._closers)}", *ports)
        self._closers.append(server.close)
        return server

    def serve_in(self, pid, *ports):
        """Servers of the test in a container's network."""
        server = Server(["nsenter", f"--net=/proc/{pid}/ns/net"], f"{self.work}/server-{len(self._closers)}", *ports)
        self._closers.append(server.close)
        return server

    def namespace(self):
        """One more network namespace, without anything; its process's number."""
        p = subprocess.Popen(["unshare", "--net", "--kill-child", "--fork", "sleep", "1000"], stdin=subprocess.DEVNULL)
        own = os.readlink("/proc/self/ns/net")
        end = time.monotonic() + 10
        while True:
            with open(f"/proc/{p.pid}/task/{p.pid}/children") as f:
                children = f.read().split()
            if children and os.readlink(f"/proc/{children[0]}/ns/net") != own:
                break
            assert time.monotonic() < end, "no namespace"
            time.sleep(0.005)

        def end_it():
            p.kill()
            p.wait()

        self._closers.append(end_it)
        self.end_namespace = end_it
        return int(children[0])

    def named_namespace(self, letter):
        """One more network namespace with a name, as engines make them; the name."""
        name = self.token + letter
        call("ip", "netns", "add", name, check=True)
        self._closers.append(lambda: call("ip", "netns", "del", name))
        return name

    def hook(self, verb, state, *flags, prefix=(), **kw):
        """Calls the hook program as a runtime would."""
        return call(*self.enter("host"), *prefix, HOOK, verb, "--root", self.root, *flags, stdin=json.dumps(state), **kw)

    def traces(self):
        """What sandboxes have on the host: devices, tables, leases."""
        found = {}
        devices = [line.split(": ")[1].split("@")[0] for line in self.ip("host", "-o", "link").splitlines()]
        devices = [d for d in devices if d.startswith("nemo")]
        if devices:
            found["devices"] = devices
        rules = self.at("host", "nft", "list", "ruleset", check=True).out.strip()
        if rules:
            found["rules"] = rules
        leases = [n for n in os.listdir(self.root) if n != "lock"] if os.path.isdir(self.root) else []
        if leases:
            found["leases"] = leases
        return found

    def close(self):
        for closer in reversed(self._closers):
            closer()
        for name in self.names.values():
            call("ip", "netns", "del", name, check=True)


def rule(network, ports, protocol="tcp", line=1):
    return {"name": "r", "network": network, "ports": str(ports), "protocol": protocol, "file": "agent.yaml", "line": line}


def port(host, container, protocol="tcp", address="127.0.0.1"):
    return {"address": address, "host": host, "container": container, "protocol": protocol}


def network(mode="veth", rules=(), ports=(), **more):
    """The text of a network.json."""
    return json.dumps({"apiVersion": "nemoshell/v1", "kind": "Network", "mode": mode, "rules": list(rules),
                       "ports": list(ports), **more})


class Sandboxes:
    """Containers of one runtime with the hook in their config.json."""

    def __init__(self, lab, runtime, dial):
        self.lab, self.runtime, self.dial = lab, runtime, dial
        self._count = 0

    def bundle(self, configuration, capabilities=("CAP_NET_BIND_SERVICE",)):
        self._count += 1
        b = Bundle(f"{self.lab.work}/bundle-{self._count}", "/bin/sleep", "1000")
        os.link(self.dial, f"{b.rootfs}/bin/dial")
        b.config["process"]["capabilities"] = {k: list(capabilities) for k in ("bounding", "effective", "permitted")}
        b.config["linux"]["resources"] = {}
        b.config["mounts"] = [m for m in b.config["mounts"] if m["type"] != "cgroup"]
        hook = {"path": HOOK, "timeout": 60}
        b.config["hooks"] = {
            "createRuntime": [{**hook, "args": ["nemoshell-network", "setup", "--root", self.lab.root]}],
            "poststop": [{**hook, "args": ["nemoshell-network", "teardown", "--root", self.lab.root]}]}
        with open(f"{b.path}/network.json", "w") as f:
            f.write(configuration)
        return b

    def start(self, configuration, **kw):
        """A running sandbox: its id; the process's number is `pid(id)`."""
        return self.runtime.start_detached(self.bundle(configuration, **kw))

    def pid(self, id):
        return self.runtime.state(id)["pid"]

    def state(self, id):
        return self.runtime.state(id)

    def dial_in(self, id, *words):
        """What the probe says that runs in the sandbox."""
        return self.runtime.exec(id, "/bin/dial", *map(str, words)).ok().out.strip()

    def inside(self, id, *argv, **kw):
        """A program of the operator in the sandbox's network."""
        return call("nsenter", f"--net=/proc/{self.pid(id)}/ns/net", *argv, **kw)

    def tear_fence(self, id):
        """Takes every filter of the sandbox away, as its operator could: shows what works without."""
        self.inside(id, "nft", "flush", "ruleset", check=True)
        tables = self.lab.at("host", "nft", "list", "tables", "netdev", check=True).out
        for name in [line.split()[2] for line in tables.splitlines()]:
            self.lab.at("host", "nft", "delete", "table", "netdev", name, check=True)
        self.lab.at("host", "nft", "flush", "chain", "inet", "nemoshell_host", "answers", check=True)
