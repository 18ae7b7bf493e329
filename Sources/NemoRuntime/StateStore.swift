import CKernel
import Glibc
import NemoKernel
import NemoOCI
import NemoSeccomp

/// The state directory: `<root>/<id>/` per container, made by mkdir as the single arbiter of who owns an id.
///
/// In it: `state.json`, a copy of `config.json`, and `exec.fifo` while the container waits for `start`. The directory's own
/// flock(2) serialises verbs; readers take no lock.
public struct StateStore: ~Copyable {
  /// Longest config.json that is read.
  public static let configurationLimit = 32 << 20
  static let stateLimit = 8 << 20
  static let deletingPrefix = ".deleting-"
  /// Levels of directories that are removed with a container's state.
  static let depthLimit = 64

  /// The absolute root directory.
  public let path: String
  let root: OwnedDescriptor

  /// Opens (and makes, mode 0711) the root directory.
  public init(path: String, create: Bool) throws(Failure) {
    self.path = path
    if create { try Files.makeDirectories(path, mode: 0o711) }
    root = try Files.open(path, O_RDONLY | O_DIRECTORY)
  }

  /// The store that should hold `id`; without a root there is no container.
  static func existing(_ path: String, _ id: String) throws(Failure) -> StateStore {
    do throws(Failure) { return try StateStore(path: Files.absolute(path), create: false) } catch
      where error.errno == .noEntry
    {
      throw absent(id)
    }
  }

  /// Claims `id`; an existing one is an error. The new directory comes locked.
  func claim(_ id: String) throws(Failure) -> ContainerDirectory {
    guard mkdirat(root.raw, id, 0o700) == 0 else {
      guard nemo_get_errno() == EEXIST else { throw .last("create state directory", "\(path)/\(id)") }
      throw Failure("container with id exists", id, errno: .exists, advice: "delete it or choose another id")
    }
    let fd: OwnedDescriptor
    do throws(Failure) { fd = try lockedDirectory(id) } catch {
      // Empty as it is; if even this fails, the next `delete --force` does it.
      unlinkat(root.raw, id, AT_REMOVEDIR)
      throw error
    }
    return ContainerDirectory(id: id, path: "\(path)/\(id)", descriptor: fd)
  }

  private func lockedDirectory(_ id: String) throws(Failure) -> OwnedDescriptor {
    let fd = try Files.open(id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: root.raw)
    guard retrying({ Int(flock(fd.raw, LOCK_EX)) }) == 0 else { throw .last("lock container", id) }
    return fd
  }

  /// Opens the directory of an existing container without a lock.
  func open(_ id: String) throws(Failure) -> ContainerDirectory {
    do throws(Failure) {
      let fd = try Files.open(id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: root.raw)
      return ContainerDirectory(id: id, path: "\(path)/\(id)", descriptor: fd)
    } catch  where error.errno == .noEntry || error.errno == .notDirectory || error.errno == .loop {
      throw StateStore.absent(id)
    }
  }

  /// Opens and locks; waits up to `seconds` for whoever holds the lock.
  func lock(_ id: String, seconds: Int = 30) throws(Failure) -> ContainerDirectory {
    for _ in 0..<16 {
      let directory = try open(id)
      var waited = 0
      while flock(directory.descriptor.raw, LOCK_EX | LOCK_NB) != 0 {
        guard nemo_get_errno() == EWOULDBLOCK || nemo_get_errno() == EINTR else { throw .last("lock container", id) }
        guard waited < seconds * 1000 else {
          throw Failure("lock container", id, reason: "another command holds it for \(seconds) s")
        }
        usleep(waited < 20 ? 1000 : 5000)
        waited += waited < 20 ? 1 : 5
      }
      // The directory may have been removed, and made anew, while we waited.
      var mine = stat()
      var now = stat()
      if fstat(directory.descriptor.raw, &mine) == 0, fstatat(root.raw, id, &now, AT_SYMLINK_NOFOLLOW) == 0,
        mine.st_ino == now.st_ino, mine.st_dev == now.st_dev
      {
        return directory
      }
    }
    throw StateStore.absent(id)
  }

  static func absent(_ id: String) -> Failure {
    Failure("container does not exist", id)
  }

  /// The ids that have a directory, sorted.
  public func ids() throws(Failure) -> [String] {
    try Files.names(in: root.raw, subject: path).filter { $0 != ".cache" && !$0.hasPrefix(StateStore.deletingPrefix) }
      .sorted()
  }

  /// Removes a container's directory: renamed first, so that the id is free or whole, never half.
  func remove(_ directory: borrowing ContainerDirectory) throws(Failure) {
    let doomed = "\(StateStore.deletingPrefix)\(directory.id.prefix(200)).\(String(decimal: getpid()))"
    guard renameat(root.raw, directory.id, root.raw, doomed) == 0 else {
      if nemo_get_errno() == ENOENT { return }
      throw .last("remove state directory", directory.path)
    }
    try removeDoomed(doomed, directory.descriptor.raw)
  }

  /// Removes an entry that is no directory, and so no container.
  func removeStray(_ id: String) throws(Failure) {
    var status = stat()
    guard fstatat(root.raw, id, &status, AT_SYMLINK_NOFOLLOW) == 0, status.st_mode & S_IFMT != S_IFDIR else { return }
    guard unlinkat(root.raw, id, 0) == 0 || nemo_get_errno() == ENOENT else { throw .last("remove", "\(path)/\(id)") }
  }

  private func removeDoomed(_ name: String, _ fd: Int32) throws(Failure) {
    try empty(fd, "\(path)/\(name)")
    guard unlinkat(root.raw, name, AT_REMOVEDIR) == 0 || nemo_get_errno() == ENOENT else {
      throw .last("remove", "\(path)/\(name)")
    }
  }

  /// Removes what is in a directory. Of those below it a container with every capability may have written to one.
  private func empty(_ directory: Int32, _ path: String, depth: Int = 0) throws(Failure) {
    for entry in try Files.names(in: directory, subject: path) {
      let gone =
        unlinkat(directory, entry, 0) == 0 || nemo_get_errno() == ENOENT
        || unlinkat(directory, entry, AT_REMOVEDIR) == 0
      if gone { continue }
      guard nemo_get_errno() == ENOTEMPTY, depth < StateStore.depthLimit else {
        throw .last("remove", "\(path)/\(entry)")
      }
      let below = try Files.open(entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: directory)
      try empty(below.raw, "\(path)/\(entry)", depth: depth + 1)
      guard unlinkat(directory, entry, AT_REMOVEDIR) == 0 else { throw .last("remove", "\(path)/\(entry)") }
    }
  }

  /// Finishes removals that a killed `delete` left. One that another `delete` is just finishing is gone meanwhile.
  func sweep() throws(Failure) {
    for name in try Files.names(in: root.raw, subject: path) where name.hasPrefix(StateStore.deletingPrefix) {
      do throws(Failure) {
        let fd = try Files.open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: root.raw)
        try removeDoomed(name, fd.raw)
      } catch  where error.errno == .noEntry || error.errno == .notEmpty {
        continue
      }
    }
  }

  /// The compiled filter of a profile, from the cache below the root where that can be used.
  func filter(for profile: SeccompProfile) throws(Failure) -> (program: SeccompProgram, warnings: [String]) {
    guard let cache = try? seccompCache() else { return try Seccomp.program(for: profile, cache: -1) }
    return try Seccomp.program(for: profile, cache: cache.raw)
  }

  /// The compiled filter of a profile whose rules were not read, when the cache below the root has it.
  func knownFilter(for profile: SeccompProfile) -> (program: SeccompProgram, warnings: [String])? {
    let (path, flags) = (StateStore.seccompCachePath, StateStore.cacheFlags)
    guard let cache = try? Files.open(path, flags, at: root.raw) else { return nil }
    return Seccomp.cached(profile, cache: cache.raw)
  }

  private static let seccompCachePath = ".cache/seccomp"
  private static let cacheFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW

  private func seccompCache() throws(Failure) -> OwnedDescriptor {
    let (path, flags) = (StateStore.seccompCachePath, StateStore.cacheFlags)
    if let fd = try? Files.open(path, flags, at: root.raw) { return fd }
    try Files.makeDirectory(".cache", mode: 0o700, at: root.raw)
    try Files.makeDirectory(path, mode: 0o700, at: root.raw)
    return try Files.open(path, flags, at: root.raw)
  }
}

/// One container's state directory, held by descriptor.
struct ContainerDirectory: ~Copyable {
  static let stateName = "state.json"
  static let configurationName = "config.json"
  static let execConfigurationName = "exec.json"
  static let filterName = "filter"
  static let fifoName = "exec.fifo"
  static let landlockName = "landlock"

  let id: String
  let path: String
  let descriptor: OwnedDescriptor

  static let stagedName = ".state.json.next"

  /// Writes the intent. It outlives a kill of the runtime; after a loss of power there is nothing it would be needed for.
  func writeIntent(_ record: StateRecord) throws(Failure) {
    try Files.replace(ContainerDirectory.stateName, in: descriptor.raw, with: record.encoded(), durable: false)
  }

  /// Writes the record beside the present one, down to the disk.
  func stage(_ record: StateRecord) throws(Failure) {
    let name = ContainerDirectory.stagedName
    let flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW
    let file = try Files.open(name, flags, mode: 0o600, at: descriptor.raw)
    try Files.writeAll(file.raw, record.encoded(), subject: "\(path)/\(name)")
    guard fsync(file.raw) == 0 else { throw .last("fsync", "\(path)/\(name)") }
  }

  /// Makes the staged record the present one.
  func commit() throws(Failure) {
    let from = ContainerDirectory.stagedName
    guard renameat(descriptor.raw, from, descriptor.raw, ContainerDirectory.stateName) == 0 else {
      throw .last("write state", path)
    }
  }

  /// Lets other verbs at the container while this one goes on.
  func unlock() throws(Failure) {
    guard retrying({ Int(flock(descriptor.raw, LOCK_UN)) }) == 0 else { throw .last("unlock container", id) }
  }

  /// The record; an empty directory means that its maker died, or has not come so far.
  func record() throws(Failure) -> StateRecord {
    do throws(Failure) {
      return try StateRecord(
        parsing: try Files.read(ContainerDirectory.stateName, limit: StateStore.stateLimit, at: descriptor.raw), id: id)
    } catch  where error.errno == .noEntry {
      throw Failure(
        "container does not exist", id, reason: "it has no state yet", advice: "remove what is left with delete --force"
      )
    } catch {
      throw error.within("state of container \(id) is damaged")
    }
  }

  func configuration() throws(Failure) -> [UInt8] {
    try Files.read(ContainerDirectory.configurationName, limit: StateStore.configurationLimit, at: descriptor.raw)
  }

  /// Writes what `exec` reads instead of the whole configuration and the cache of filters.
  func writeForExec(_ configuration: [UInt8], _ filter: SeccompProgram?) throws(Failure) {
    try Files.replace(
      ContainerDirectory.execConfigurationName, in: descriptor.raw, with: configuration, durable: false)
    guard let filter else { return }
    try Seccomp.store(filter, as: ContainerDirectory.filterName, in: descriptor.raw)
  }

  /// The part of the configuration that `exec` needs; where it is missing, the whole.
  func configurationForExec() throws(Failure) -> [UInt8] {
    do throws(Failure) {
      return try Files.read(
        ContainerDirectory.execConfigurationName, limit: StateStore.configurationLimit, at: descriptor.raw)
    } catch  where error.errno == .noEntry {
      return try configuration()
    }
  }

  /// The filter as it was compiled for the container; nil where that cannot be read.
  func filter() -> SeccompProgram? {
    Seccomp.stored(ContainerDirectory.filterName, in: descriptor.raw)
  }

  var waitsForStart: Bool {
    var status = stat()
    return fstatat(descriptor.raw, ContainerDirectory.fifoName, &status, AT_SYMLINK_NOFOLLOW) == 0
  }
}
