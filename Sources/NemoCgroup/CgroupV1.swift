import CKernel
import Glibc
import NemoKernel
import NemoOCI

/// cgroup v1, also on a hybrid host: one directory in every mounted hierarchy (cgroups(7)).
public final class CgroupV1: CgroupManager {
  static let hintCreate = "container's cgroup is not empty"
  static let removalPatience = 2000  // ms

  /// Controller name to directory; co-mounted controllers share one.
  public let saved: [String: String]

  /// The cgroup that `cgroupsPath` of config.json names; empty means the id. Makes nothing.
  public init(cgroupsPath: String, id: String) throws(Failure) {
    if cgroupsPath.split(separator: "/").contains("..") {
      throw Failure("", "/linux/cgroupsPath", reason: "\"\(cgroupsPath)\" contains '..'")
    }
    if cgroupsPath.contains(":") {
      throw Failure(
        "", "/linux/cgroupsPath", reason: "\"\(cgroupsPath)\" is of the systemd driver's form",
        advice: "give a path, or use --systemd-cgroup")
    }
    let path = cgroupsPath.split(separator: "/").isEmpty ? id : cgroupsPath
    var saved: [String: String] = [:]
    for hierarchy in try Hierarchies.read() {
      for controller in hierarchy.controllers { saved[controller] = hierarchy.directory(of: path) }
    }
    guard !saved.isEmpty else { throw Failure("find a cgroup v1 hierarchy", reason: "none is mounted") }
    self.saved = saved
  }

  /// The cgroup of an existing container, from its state.
  public init(saved: [String: String]) throws(Failure) {
    for (controller, path) in saved where !path.hasPrefix("/") || path.split(separator: "/").contains("..") {
      throw Failure("read state", reason: "the cgroup of controller \(controller) is not an absolute path: \"\(path)\"")
    }
    self.saved = saved
  }

  /// The directory of a controller that a limit needs.
  func directory(of controller: String, for pointer: String) throws(Failure) -> String {
    guard let path = saved[controller] else {
      throw Failure("", pointer, reason: "cgroup controller \(controller) is not mounted on this host")
    }
    return path
  }

  /// Every directory once.
  private var directories: [String] { Array(Set(saved.values)) }

  /// Makes one directory in every hierarchy; what exists already must be empty and thawed.
  public func create() throws(Failure) {
    for (controller, path) in saved where controller != "cpuset" {
      if try !make(path) { try refuseOccupied(controller, path) }
    }
    if let cpuset = saved["cpuset"] { try makeCpuset(cpuset) }
  }

  /// mkdir -p; false when it was there. cgroupfs keeps the mode it likes.
  private func make(_ path: String) throws(Failure) -> Bool {
    if mkdir(path, 0o755) == 0 { return true }
    switch nemo_get_errno() {
    case EEXIST: return false
    case ENOENT:
      guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { throw .last("make cgroup", path) }
      _ = try make(String(path[..<slash]))
      guard mkdir(path, 0o755) == 0 || nemo_get_errno() == EEXIST else { throw .last("make cgroup", path) }
      return true
    default: throw .last("make cgroup", path)
    }
  }

  /// A new cpuset has no CPUs and no memory nodes, and nothing can join it; each level takes its parent's.
  private func makeCpuset(_ path: String) throws(Failure) {
    var missing: [String] = []
    var here = path
    while mkdir(here, 0o755) != 0 {
      if nemo_get_errno() == EEXIST { break }
      guard nemo_get_errno() == ENOENT, let slash = here.lastIndex(of: "/"), slash != here.startIndex else {
        throw .last("make cgroup", here)
      }
      missing.append(here)
      here = String(here[..<slash])
    }
    for level in [here] + missing.reversed() {
      if level != here, mkdir(level, 0o755) != 0, nemo_get_errno() != EEXIST { throw .last("make cgroup", level) }
      guard let slash = level.lastIndex(of: "/") else { continue }
      let parent = String(level[..<slash])
      for file in ["cpuset.cpus", "cpuset.mems"] {
        if try Files.readText("\(level)/\(file)").isEmpty {
          try Files.write(try Files.readText("\(parent)/\(file)"), to: "\(level)/\(file)")
        }
      }
    }
  }

  private func refuseOccupied(_ controller: String, _ path: String) throws(Failure) {
    let processes = try Files.readText(path + "/cgroup.procs").split(separator: "\n")
    guard processes.isEmpty else {
      throw Failure(CgroupV1.hintCreate, path, reason: "\(processes.count) process(es) found")
    }
    if controller == "freezer", try Files.readText(path + "/freezer.state") != "THAWED" {
      throw Failure("container's cgroup unexpectedly frozen", path)
    }
  }

  /// Whether no process is in it or below.
  public func isEmpty() throws(Failure) -> Bool { try processes().isEmpty }

  /// `tasks` of each hierarchy. The writer is single-threaded, so that moving its thread moves the process; "0" written to `tasks`
  /// takes no global lock.
  public func joinDescriptors() throws(Failure) -> [Int32] { try open(directories) }

  /// See ``CgroupManager/joinDescriptors(below:)``.
  public func joinDescriptors(below paths: [String: String]) throws(Failure) -> [Int32] {
    for controller in paths.keys where !controller.isEmpty && saved[controller] == nil {
      throw Failure("exec --cgroup", reason: "unknown controller \(controller)")
    }
    var targets: Set<String> = []
    for (controller, directory) in saved {
      guard let path = paths[controller] ?? paths[""] else {
        targets.insert(directory)
        continue
      }
      let parts = path.split(separator: "/").filter { $0 != "." }
      guard !parts.contains("..") else { throw Failure("exec --cgroup", reason: "bad sub cgroup path \"\(path)\"") }
      targets.insert(parts.isEmpty ? directory : directory + "/" + parts.joined(separator: "/"))
    }
    return try open(Array(targets))
  }

  private func open(_ directories: [String]) throws(Failure) -> [Int32] {
    var result: [Int32] = []
    do throws(Failure) {
      for directory in directories { result.append(try Files.open(directory + "/tasks", O_WRONLY).take()) }
    } catch {
      for fd in result { close(fd) }
      throw error.within("join cgroup")
    }
    return result
  }

  /// The hierarchy whose membership is asked: any will do, all hold the same processes.
  private var membership: String? {
    for controller in ["pids", "freezer", "devices", "name=systemd", "memory"] {
      if let path = saved[controller] { return path }
    }
    return saved.values.first
  }

  /// Every process in it and below.
  public func processes() throws(Failure) -> [Int32] {
    guard let root = membership else { return [] }
    var result: [Int32] = []
    try walk(root) { (directory) throws(Failure) in
      do throws(Failure) {
        result += try Files.readText(directory + "/cgroup.procs", limit: 64 << 20).split(separator: "\n").compactMap {
          Int32($0)
        }
      } catch  where error.errno == .noEntry || error.errno?.rawValue == ENODEV {
        return
      }
    }
    return result
  }

  /// Visits `directory` and everything below, children first; a missing directory is nothing to visit.
  private func walk(_ directory: String, _ visit: (String) throws(Failure) -> Void) throws(Failure) {
    let children: [String]
    do throws(Failure) { children = try subdirectories(directory) } catch  where error.errno == .noEntry { return }
    for child in children { try walk(directory + "/" + child, visit) }
    try visit(directory)
  }

  private func subdirectories(_ directory: String) throws(Failure) -> [String] {
    // A cgroup directory has two links of its own and one for each child: most have none, and need not be read.
    var status = stat()
    guard stat(directory, &status) == 0 else { throw .last("read", directory) }
    if status.st_nlink <= 2 { return [] }
    return try Files.list(directory).filter { name in
      var entry = stat()
      return lstat(directory + "/" + name, &entry) == 0 && entry.st_mode & S_IFMT == S_IFDIR
    }
  }

  /// One rmdir(2) in each hierarchy.
  public func removeIfEmpty() throws(Failure) -> Bool {
    for directory in directories where rmdir(directory) != 0 && nemo_get_errno() != ENOENT {
      guard nemo_get_errno() == EBUSY else { throw .last("remove cgroup", directory) }
      return false
    }
    return true
  }

  /// Removes the cgroups, children first. A process that has just ended may keep one busy for a moment.
  public func remove() throws(Failure) {
    for directory in directories {
      var waited = 0
      while true {
        if rmdir(directory) == 0 || nemo_get_errno() == ENOENT { break }
        guard nemo_get_errno() == EBUSY else { throw .last("remove cgroup", directory) }
        if waited == 0 { try removeChildren(directory) } else { usleep(useconds_t(min(waited, 50) * 1000)) }
        waited += waited == 0 ? 1 : min(waited, 50)
        if rmdir(directory) == 0 || nemo_get_errno() == ENOENT { break }
        guard waited < CgroupV1.removalPatience else {
          throw Failure(
            "remove cgroup", directory, errno: .busy, reason: "\(try processes().count) process(es) are still in it")
        }
      }
    }
  }

  private func removeChildren(_ directory: String) throws(Failure) {
    try walk(directory) { (path) throws(Failure) in
      if path == directory || rmdir(path) == 0 || nemo_get_errno() == ENOENT || nemo_get_errno() == EBUSY { return }
      throw .last("remove cgroup", path)
    }
  }

  /// One entry for each hierarchy.
  public func containerMounts() throws(Failure) -> [CgroupMount] {
    var byDirectory: [String: [String]] = [:]
    for (controller, directory) in saved { byDirectory[directory, default: []].append(controller) }
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
