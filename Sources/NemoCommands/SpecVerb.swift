import Glibc
import NemoJSON
import NemoKernel
import NemoRuntime

extension NemoshellProgram {
  static let specVerb = Verb(
    name: "spec", operands: "", summary: "write a new config.json",
    flags: [
      .option("--bundle", "-b", value: "DIR", "bundle directory (default: the current one)"),
      .toggle("--rootless", help: "for a user without root: a user namespace, no cgroup resources"),
    ], count: 0...0
  ) { (invocation) throws(Failure) in
    let bundle = invocation.arguments.string("--bundle") ?? "."
    let path = bundle + "/config.json"
    let fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o666)
    guard fd >= 0 else { throw .last("write", path, advice: "remove an existing file first") }
    let file = OwnedDescriptor(adopting: fd)
    try Files.writeAll(
      file.raw, SpecTemplate.configuration(rootless: invocation.arguments.has("--rootless")), subject: path)
    return 0
  }
}

/// The configuration that `spec` writes: what runc's and crun's users know, capabilities without an inheritable set
/// (CVE-2022-24769).
enum SpecTemplate {
  static func configuration(rootless: Bool) -> [UInt8] {
    var json = JSONWriter(indented: true)
    json.beginObject()
    json.member("ociVersion", Specification.version)
    process(&json)
    json.key("root")
    json.beginObject()
    json.member("path", "rootfs")
    json.member("readonly", true)
    json.endObject()
    json.member("hostname", "nemoshell")
    mounts(&json, rootless)
    linux(&json, rootless)
    json.endObject()
    return json.bytes + [10]
  }

  private static func process(_ json: inout JSONWriter) {
    json.key("process")
    json.beginObject()
    json.member("terminal", true)
    json.key("user")
    json.beginObject()
    json.member("uid", 0)
    json.member("gid", 0)
    json.endObject()
    json.member("args", ["sh"])
    json.member("env", ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"])
    json.member("cwd", "/")
    let capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
    json.key("capabilities")
    json.beginObject()
    for set in ["bounding", "effective", "permitted"] { json.member(set, capabilities) }
    json.endObject()
    json.key("rlimits")
    json.beginArray()
    json.beginObject()
    json.member("type", "RLIMIT_NOFILE")
    json.member("hard", 1024)
    json.member("soft", 1024)
    json.endObject()
    json.endArray()
    json.member("noNewPrivileges", true)
    json.endObject()
  }

  private static func mounts(_ json: inout JSONWriter, _ rootless: Bool) {
    json.key("mounts")
    json.beginArray()
    func mount(_ destination: String, _ type: String, _ source: String, _ options: [String]) {
      json.beginObject()
      json.member("destination", destination)
      json.member("type", type)
      json.member("source", source)
      if !options.isEmpty { json.member("options", options) }
      json.endObject()
    }
    mount("/proc", "proc", "proc", [])
    mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"])
    let group = rootless ? [] : ["gid=5"]
    mount("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"] + group)
    mount("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"])
    mount("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"])
    if rootless {
      mount("/sys", "none", "/sys", ["rbind", "nosuid", "noexec", "nodev", "ro"])
    } else {
      mount("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "ro"])
      mount("/sys/fs/cgroup", "cgroup", "cgroup", ["nosuid", "noexec", "nodev", "relatime", "ro"])
    }
    json.endArray()
  }

  private static func linux(_ json: inout JSONWriter, _ rootless: Bool) {
    json.key("linux")
    json.beginObject()
    if rootless {
      for (key, id) in [("uidMappings", geteuid()), ("gidMappings", getegid())] {
        json.key(key)
        json.beginArray()
        json.beginObject()
        json.member("containerID", 0)
        json.member("hostID", id)
        json.member("size", 1)
        json.endObject()
        json.endArray()
      }
    } else {
      json.key("resources")
      json.beginObject()
      json.key("devices")
      json.beginArray()
      json.beginObject()
      json.member("allow", false)
      json.member("access", "rwm")
      json.endObject()
      json.endArray()
      json.endObject()
    }
    json.key("namespaces")
    json.beginArray()
    for kind in ["pid", "network", "ipc", "uts", "mount"] + (rootless ? ["user"] : []) {
      if rootless && kind == "network" { continue }
      json.beginObject()
      json.member("type", kind)
      json.endObject()
    }
    json.endArray()
    json.member(
      "maskedPaths",
      [
        "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/devices/virtual/powercap", "/sys/firmware",
      ])
    json.member("readonlyPaths", ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"])
    json.endObject()
  }
}
