import CKernel
import Glibc
import NemoKernel
import NemoOCI

/// cgroup v1, also on a hybrid host: one directory in every mounted hierarchy (cgroups(7)).
public final class CgroupV1: CgroupManager {
  static let occupied = "container's cgroup is not empty"
  static let frozen = "container's cgroup unexpectedly frozen"
  /// The key in ``saved`` of version 2 on a hybrid host. It limits nothing there, but systemd and others find processes by it.
  static let unified = "unified"

  /// Controller name to directory; co-mounted controllers share one.
  public let saved: [String: String]
  /// Every directory once.
  let directories: [String]
  /// Those that ``create()`` made, where everything has the kernel's defaults.
  private(set) var fresh: Set<String> = []
  /// ``create()`` found somebody else's cgroup.
  var refused = false
  /// ``openForClone(making:)`` made the directory of version 2.
  private(set) var madeUnified = false

  /// The cgroup that `cgroupsPath` of config.json names: absolute from the root of each hierarchy, otherwise below the caller's own,
  /// empty means the id there (config-linux.md#cgroups-path). Makes nothing.
  public init(cgroupsPath: String, id: String) throws(Failure) {
    guard cgroupsPath.utf8.count < 3000, cgroupsPath.split(separator: "/").allSatisfy({ $0.utf8.count <= 255 }) else {
      throw Failure("", "/linux/cgroupsPath", errno: .nameTooLong)
    }
    let parts = cgroupsPath.split(separator: "/")
    if parts.contains("..") {
      throw Failure("", "/linux/cgroupsPath", reason: "\"\(cgroupsPath)\" contains '..'")
    }
    if cgroupsPath.contains(":") {
      throw Failure(
        "", "/linux/cgroupsPath", reason: "\"\(cgroupsPath)\" is of the systemd driver's form",
        advice: "give a path, or use --systemd-cgroup")
    }
    let path = parts.isEmpty ? id : cgroupsPath
    var saved: [String: String] = [:]
    for hierarchy in try Hierarchies.read() {
      for controller in hierarchy.controllers { saved[controller] = hierarchy.directory(of: path) }
    }
    guard saved.contains(where: { $0.key != CgroupV1.unified }) else {
      throw Failure("find a cgroup v1 hierarchy", reason: "none is mounted")
    }
    self.saved = saved
    directories = CgroupV1.unique(saved)
  }

  /// The cgroup of an existing container, from its state.
  public init(saved: [String: String]) throws(Failure) {
    for (controller, path) in saved where !path.hasPrefix("/") || path.split(separator: "/").contains("..") {
      throw Failure("read state", reason: "the cgroup of controller \(controller) is not an absolute path: \"\(path)\"")
    }
    self.saved = saved
    directories = CgroupV1.unique(saved)
  }

  private static func unique(_ saved: [String: String]) -> [String] { Set(saved.values).sorted() }

  /// See ``CgroupManager/openForClone(making:)``.
  public func openForClone(making: Bool) throws(Failure) -> Int32 {
    guard let directory = saved[CgroupV1.unified] else { return -1 }
    if making {
      if try make(directory) { madeUnified = true } else { try refuseForeign(directory) }
    }
    let fd = Int32(retrying { Int(Glibc.open(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) })
    // Whoever moved the container's processes elsewhere may have removed it.
    guard fd >= 0 || (nemo_get_errno() == ENOENT && !making) else { throw .last("open cgroup", directory) }
    return fd
  }

  /// The directories that a process joins by writing.
  private var written: [String] { directories.filter { $0 != saved[CgroupV1.unified] } }

  /// Makes one directory in every hierarchy of version 1; what exists already must be empty and thawed.
  public func create() throws(Failure) {
    do throws(Failure) {
      for directory in written {
        if try make(directory) { fresh.insert(directory) } else { try refuseForeign(directory) }
      }
    } catch {
      // Nothing has joined those yet. Should one stay all the same, the state record names it.
      for directory in fresh { rmdir(directory) }
      fresh = []
      throw error
    }
  }

  /// mkdir -p; false when it was there. cgroupfs keeps the mode it likes.
  private func make(_ path: String) throws(Failure) -> Bool {
    if mkdir(path, 0o755) == 0 { return true }
    switch nemo_get_errno() {
    case EEXIST: return false
    case ENOENT:
      guard let parent = CgroupV1.parent(of: path) else { throw .last("make cgroup", path) }
      _ = try make(parent)
      if mkdir(path, 0o755) == 0 { return true }
      guard nemo_get_errno() == EEXIST else { throw .last("make cgroup", path) }
      return false
    default: throw .last("make cgroup", path)
    }
  }

  static func parent(of path: String) -> String? {
    guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return nil }
    return String(path[..<slash])
  }

  private func refuseForeign(_ directory: String) throws(Failure) {
    let count = try members(of: directory).count
    if count > 0 {
      refused = true
      throw Failure(CgroupV1.occupied, directory, reason: "\(count) process(es) found")
    }
    if directory == saved["freezer"], try isFrozen() {
      refused = true
      throw Failure(CgroupV1.frozen, directory)
    }
  }

  /// `tasks` of each hierarchy. The writer is single-threaded, so that moving its thread moves the process; "0" written to `tasks`
  /// takes no global lock.
  public func joinDescriptors() throws(Failure) -> [Int32] { try open(written) }

  /// See ``CgroupManager/joinDescriptors(below:)``.
  public func joinDescriptors(below paths: [String: String]) throws(Failure) -> [Int32] {
    for controller in paths.keys
    where !controller.isEmpty && (saved[controller] == nil || controller == CgroupV1.unified) {
      throw Failure("", "--cgroup", reason: "unknown controller \(controller)")
    }
    var targets: Set<String> = []
    for (controller, directory) in saved where controller != CgroupV1.unified {
      guard let path = paths[controller] ?? paths[""] else {
        targets.insert(directory)
        continue
      }
      let parts = path.split(separator: "/").filter { $0 != "." }
      guard !parts.contains("..") else {
        throw Failure("", "--cgroup", reason: "bad sub cgroup path: \(path) is not a sub cgroup path")
      }
      targets.insert(parts.isEmpty ? directory : directory + "/" + parts.joined(separator: "/"))
    }
    return try open(targets.sorted())
  }

  private func open(_ directories: [String]) throws(Failure) -> [Int32] {
    var result: [Int32] = []
    do throws(Failure) {
      for directory in directories {
        let fd = Int32(retrying { Int(Glibc.open(directory + "/tasks", O_WRONLY | O_CLOEXEC | O_NOFOLLOW)) })
        guard fd >= 0 else {
          let errno = Errno.current
          throw Failure("error adding pid to cgroups: open", directory + "/cgroup.procs", errno: errno)
        }
        result.append(fd)
      }
    } catch {
      for fd in result { close(fd) }
      throw error
    }
    return result
  }

  /// One entry for each hierarchy.
  public func containerMounts() throws(Failure) -> [CgroupMount] {
    var byDirectory: [String: [String]] = [:]
    for (controller, directory) in saved where controller != CgroupV1.unified {
      // Hierarchies that are mounted apart have directories of their own.
      byDirectory[directory, default: []].append(controller)
    }
    var result: [CgroupMount] = []
    for (directory, controllers) in byDirectory {
      let sorted = controllers.sorted()
      if let named = sorted.first(where: { $0.hasPrefix("name=") }) {
        result.append(
          CgroupMount(name: String(named.dropFirst(5)), data: ["none", named], hostDirectory: directory, symlinks: []))
      } else {
        let name = sorted.joined(separator: ",")
        result.append(
          CgroupMount(name: name, data: sorted, hostDirectory: directory, symlinks: sorted.count > 1 ? sorted : []))
      }
    }
    return result.sorted { $0.name < $1.name }
  }
}
