import NemoCgroup
import NemoJSON
import NemoKernel

/// What `state.json` holds: the intent before anything is made, then the truth (spec/state.md).
public struct StateRecord: Sendable {
  /// Layout version of the file.
  public static let version = 1

  /// The runtime-spec version of config.json.
  public var ociVersion: String
  /// The container's id.
  public var id: String
  /// The init process; nil while the container is being made.
  public var process: ProcessIdentity?
  /// Absolute bundle directory.
  public var bundle: String
  /// Absolute root file system.
  public var rootfs: String
  /// RFC 3339 time of creation, UTC, nanoseconds.
  public var created: String
  /// Annotations of config.json.
  public var annotations: [String: String]
  /// The user who made it.
  public var owner: UInt32
  /// Controller name to directory, from ``CgroupManager``; written before the directories are made.
  public var cgroup: [String: String]
  /// The resctrl group that was made, or empty.
  public var resctrl = ""
  /// Kinds of hooks that a later verb has to run: only then it reads the configuration again.
  public var laterHooks: [String] = []
  /// Its processes live in a pid namespace that is not its own, and do not end with its first one.
  public var sharesPids = false

  /// The cgroups it was made in.
  func cgroupManager() throws(Failure) -> any CgroupManager {
    cgroup.isEmpty ? NoCgroup() : try CgroupV1(saved: cgroup)
  }

  func encoded() -> [UInt8] {
    var json = JSONWriter(indented: true)
    json.beginObject()
    json.member("version", StateRecord.version)
    json.member("ociVersion", ociVersion)
    json.member("id", id)
    json.member("pid", process?.pid ?? 0)
    json.member("startTime", process?.startTime ?? 0)
    json.member("pidInode", process?.inode ?? 0)
    json.member("bootId", process?.boot ?? "")
    json.member("bundle", bundle)
    json.member("rootfs", rootfs)
    json.member("created", created)
    json.member("owner", owner)
    json.member("resctrl", resctrl)
    json.member("laterHooks", laterHooks)
    json.member("sharesPids", sharesPids)
    json.member("cgroup", cgroup)
    json.member("annotations", annotations)
    json.endObject()
    return json.bytes + [10]
  }

  init(
    ociVersion: String, id: String, bundle: String, rootfs: String, created: String, annotations: [String: String],
    owner: UInt32, cgroup: [String: String]
  ) {
    self.ociVersion = ociVersion
    self.id = id
    self.bundle = bundle
    self.rootfs = rootfs
    self.created = created
    self.annotations = annotations
    self.owner = owner
    self.cgroup = cgroup
  }

  init(parsing bytes: [UInt8], id: String) throws(Failure) {
    let subject = "state of container \(id)"
    let document = try JSONDocument(parsing: bytes, subject: subject)
    let root = document.root
    let version: Int = try root.required("version").integer()
    guard version == StateRecord.version else { throw Failure("read", subject, reason: "unknown version \(version)") }
    ociVersion = try root.required("ociVersion").string()
    self.id = try root.required("id").string()
    guard self.id == id else { throw Failure("read", subject, reason: "it belongs to container \(self.id)") }
    let pid: Int32 = try root.required("pid").integer()
    guard pid >= 0 else { throw Failure("read", subject, reason: "negative pid") }
    let startTime: UInt64 = try root.required("startTime").integer()
    let inode: UInt64 = try root.required("pidInode").integer()
    let boot = try root.field("bootId")?.string() ?? ""
    process = pid == 0 ? nil : ProcessIdentity(pid: pid, startTime: startTime, inode: inode, boot: boot)
    bundle = try root.required("bundle").string()
    rootfs = try root.required("rootfs").string()
    created = try root.required("created").string()
    owner = try root.required("owner").integer()
    resctrl = try root.required("resctrl").string()
    laterHooks = try root.required("laterHooks").strings()
    sharesPids = try root.required("sharesPids").boolean()
    cgroup = try StateRecord.map(root.required("cgroup"))
    annotations = try StateRecord.map(root.required("annotations"))
    withExtendedLifetime(document) {}
  }

  private static func map(_ node: JSONNode) throws(Failure) -> [String: String] {
    var result: [String: String] = [:]
    for (name, value) in try node.members() { result[name] = try value.string() }
    return result
  }
}
