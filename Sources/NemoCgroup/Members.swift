import CKernel
import Glibc
import NemoKernel

// Who is in the cgroup, and taking it away.

extension CgroupV1 {
  /// How long ``remove()`` waits for processes that are just ending, in milliseconds.
  static let removalPatience = 2000
  /// Bytes of one list of processes: more than pid_max allows.
  static let listLimit = 64 << 20

  /// Every process in it and below. All hierarchies hold the same ones unless somebody moved them, so one is asked.
  public func processes() throws(Failure) -> [Int32] {
    for controller in ["pids", "freezer", "devices", "name=systemd", "memory"] {
      if let directory = saved[controller] { return try members(of: directory) }
    }
    guard let directory = directories.first else { return [] }
    return try members(of: directory)
  }

  /// Every process that is in it or below in at least one hierarchy: a privileged process can move itself out of one, hardly out
  /// of all.
  func processesOfAll() throws(Failure) -> Set<Int32> {
    var result: Set<Int32> = []
    for directory in directories { result.formUnion(try members(of: directory)) }
    return result
  }

  /// Whether no process is in it or below, in any hierarchy.
  public func isEmpty() throws(Failure) -> Bool { try processesOfAll().isEmpty }

  /// The processes of one directory and of those below. What is not there, or vanishes meanwhile, has none.
  func members(of directory: String) throws(Failure) -> [Int32] {
    var result: [Int32] = []
    try walk(directory) { (directory) throws(Failure) in
      do throws(Failure) {
        result += CgroupText.processes(try Files.read(directory + "/cgroup.procs", limit: CgroupV1.listLimit))
      } catch  where error.isGone || error.errno?.rawValue == EOPNOTSUPP {
        // A threaded cgroup of version 2 lists its processes further up.
        return
      }
    }
    return result
  }

  /// Visits `directory` and everything below, children first; a missing directory is nothing to visit.
  func walk(_ directory: String, _ visit: (String) throws(Failure) -> Void) throws(Failure) {
    let children: [String]
    do throws(Failure) { children = try subdirectories(directory) } catch  where error.isGone { return }
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
    if refused { return true }
    for directory in directories where rmdir(directory) != 0 && nemo_get_errno() != ENOENT {
      guard nemo_get_errno() == EBUSY else { throw .last("remove cgroup", directory) }
      return false
    }
    return true
  }

  /// Removes the cgroups, children first. A process that has just ended may keep one busy for a moment.
  public func remove() throws(Failure) {
    var waited = 0
    for directory in directories where !refused || (madeUnified && directory == saved[CgroupV1.unified]) {
      var pause = 1
      while rmdir(directory) != 0 && nemo_get_errno() != ENOENT {
        guard nemo_get_errno() == EBUSY else { throw .last("remove cgroup", directory) }
        try removeChildren(directory)
        if rmdir(directory) == 0 || nemo_get_errno() == ENOENT { break }
        guard waited < CgroupV1.removalPatience else {
          let count = try members(of: directory).count
          throw Failure("remove cgroup", directory, errno: .busy, reason: "\(count) process(es) are still in it")
        }
        usleep(useconds_t(pause * 1000))
        waited += pause
        pause = min(pause * 2, 50)
      }
    }
  }

  private func removeChildren(_ directory: String) throws(Failure) {
    try walk(directory) { (path) throws(Failure) in
      if path == directory || rmdir(path) == 0 || nemo_get_errno() == ENOENT || nemo_get_errno() == EBUSY { return }
      throw .last("remove cgroup", path)
    }
  }
}

extension Failure {
  /// The cgroup was removed before or while it was read.
  var isGone: Bool { errno == .noEntry || errno?.rawValue == ENODEV }
}
