import CWide
import Glibc

/// A directory beside its final place, in which something is made that shall appear whole or not at all.
final class StagingDirectory {
  let path: String
  private let lock: Handle
  private var isPublished = false

  /// Makes `.NAME.partial-PID` beside `final`, and removes what earlier processes that were killed have left there.
  init(beside final: String) throws {
    let trimmed = final.count > 1 && final.hasSuffix("/") ? String(final.dropLast()) : final
    let slash = trimmed.lastIndex(of: "/")
    let directory = slash.map { String(trimmed[...$0]) } ?? "./"
    let name = slash.map { String(trimmed[trimmed.index(after: $0)...]) } ?? trimmed
    guard !name.isEmpty, name != ".", name != ".." else {
      throw BundleFailure("\(final): is no name of a new directory")
    }
    let prefix = ".\(name).partial-"
    try Self.sweep(directory, prefix)
    let path = "\(directory)\(prefix)\(getpid())"
    guard mkdir(path, 0o700) == 0 else { throw BundleFailure.last("mkdir", path) }
    self.path = path
    lock = try Handle(path, O_RDONLY | O_DIRECTORY)
    guard flock(lock.raw, LOCK_EX | LOCK_NB) == 0 else { throw BundleFailure.last("lock", path) }
  }

  deinit {
    guard !isPublished else { return }
    do { try Tree.remove(path) } catch {
      let text = "nemoshell: \(error)\n"
      _ = text.withCString { write(2, $0, strlen($0)) }
    }
  }

  /// A directory whose maker lives is locked by it.
  private static func sweep(_ directory: String, _ prefix: String) throws {
    let parent = try Handle(directory, O_RDONLY | O_DIRECTORY)
    for name in try DirectoryNames.sorted(parent.raw, directory) where name.starts(with: Array(prefix.utf8)) {
      let fd = openat(parent.raw, PathBytes.terminated(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      guard fd >= 0 else { continue }
      let old = Handle(adopting: fd)
      if flock(old.raw, LOCK_EX | LOCK_NB) == 0 { try Tree.remove(name, parent.raw) }
    }
  }

  /// Gives the directory its name.
  ///
  /// - Parameter replacing: what has the name now is removed afterwards.
  func publish(as final: String, replacing: Bool) throws {
    // Once it has its name it is taken for complete, also after a loss of power.
    guard wide_syncfs(lock.raw) == 0 else { throw BundleFailure.last("sync", path) }
    if replacing {
      // Both names change in one step; what was there is then removed under the temporary one.
      guard wide_rename(path, final, 2) == 0 else { throw BundleFailure.last("replace", final) }
      isPublished = true
      try Tree.remove(path)
    } else {
      guard wide_rename(path, final, 1) == 0 else { throw BundleFailure.last("make", final) }
      isPublished = true
    }
  }
}
