import CKernel
import Glibc
import NemoJSON
import NemoKernel

/// What `state` and `list` show of a container.
public struct Summary: Sendable {
  /// Its record on disk.
  public let record: StateRecord
  /// What it is doing now.
  public let status: Status
  /// Pid of its process, 0 when it has ended.
  public let pid: Int32

  /// Name of the owner, or the number where the host's passwd does not know it.
  public var owner: String { HostUsers.name(of: record.owner) }

  /// Writes the object in the order engines know it.
  public func write(to json: inout JSONWriter) {
    json.beginObject()
    json.member("ociVersion", Specification.version)
    json.member("id", record.id)
    json.member("pid", pid)
    json.member("status", status.rawValue)
    json.member("bundle", record.bundle)
    json.member("rootfs", record.rootfs)
    json.member("created", record.created)
    if !record.annotations.isEmpty { json.member("annotations", record.annotations) }
    json.member("owner", owner)
    json.endObject()
  }
}

/// Questions about containers; none takes a lock.
public enum Containers {
  /// The state of one container.
  public static func summary(_ id: String, _ context: RuntimeContext) throws(Failure) -> Summary {
    let container = try Container(id, context, locked: false)
    return try summary(container)
  }

  private static func summary(_ container: borrowing Container) throws(Failure) -> Summary {
    let status = try container.status()
    return Summary(record: container.record, status: status, pid: status == .stopped ? 0 : try container.livePid())
  }

  /// Every container that can be read; the others are told to `damaged`.
  public static func all(_ context: RuntimeContext, damaged: (Failure) -> Void) throws(Failure) -> [Summary] {
    var result: [Summary] = []
    for id in try ids(context) {
      do throws(Failure) {
        result.append(try summary(id, context))
      } catch {
        // One that was deleted meanwhile, or has no state yet, is no container.
        if error.operation != StateStore.absent(id).operation { damaged(error) }
      }
    }
    return result
  }

  static func ids(_ context: RuntimeContext) throws(Failure) -> [String] {
    do throws(Failure) {
      return try StateStore(path: Files.absolute(context.root), create: false).ids()
    } catch  where error.errno == .noEntry {
      return []
    }
  }

  /// The ids that a POSIX extended regular expression matches.
  public static func ids(matching pattern: String, _ context: RuntimeContext) throws(Failure) -> [String] {
    var expression = regex_t()
    guard regcomp(&expression, pattern, REG_EXTENDED | REG_NOSUB) == 0 else {
      throw Failure("", "--regex", reason: "\"\(pattern)\" is not a POSIX extended regular expression")
    }
    defer { regfree(&expression) }
    var result: [String] = []
    for id in try ids(context) where regexec(&expression, id, 0, nil, 0) == 0 { result.append(id) }
    return result
  }

  /// The processes of a container, by pid in the runtime's namespace.
  public static func processes(_ id: String, _ context: RuntimeContext) throws(Failure) -> [Int32] {
    let container = try Container(id, context, locked: false)
    return try container.cgroup().processes()
  }
}

/// Names of the host's users, without the C library's name services, which a static program cannot load.
enum HostUsers {
  static func name(of uid: UInt32) -> String {
    if uid == 0 { return "root" }
    guard let bytes = try? Files.read("/etc/passwd", limit: 16 << 20) else { return String(decimal: uid) }
    for line in bytes.split(separator: 10) {
      let fields = line.split(separator: 0x3a, omittingEmptySubsequences: false)
      if fields.count > 2, UInt32(String(decoding: fields[2], as: UTF8.self)) == uid {
        return String(decoding: fields[0], as: UTF8.self)
      }
    }
    return String(uid)
  }
}
