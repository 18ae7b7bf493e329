import CKernel
import Glibc
import NemoKernel
import NemoOCI

/// A file as the kernel knows it. While a ruleset or a restricted process exists, the kernel holds the files of its rules, so that
/// no other file can take their numbers.
public struct PathIdentity: Sendable, Hashable {
  /// Device and inode number.
  public let device: UInt64, inode: UInt64

  /// One line per file, `-` for none.
  public static func encode(_ identities: [PathIdentity?]) -> [String] {
    identities.map { $0.map { "\($0.device) \($0.inode)\n" } ?? "-\n" }
  }

  /// The files of a text that ``encode(_:)`` made.
  public static func decode(_ text: String, subject: String) throws(Failure) -> [PathIdentity?] {
    var result: [PathIdentity?] = []
    for line in text.split(separator: "\n") {
      let numbers = line.split(separator: " ").map { UInt64($0) }
      if line == "-" {
        result.append(nil)
      } else if numbers.count == 2, let device = numbers[0], let inode = numbers[1] {
        result.append(PathIdentity(device: device, inode: inode))
      } else {
        throw Failure("read", subject, reason: "\"\(line)\" is not a device and an inode number")
      }
    }
    return result
  }
}

/// Adds the rules for paths to a ruleset.
struct PathRules {
  let ruleset: Int32
  let handled: UInt64
  let paths: [LandlockPath]
  let recorded: [PathIdentity?]?
  private(set) var identities: [PathIdentity?] = []
  private var seen: [PathIdentity: Int] = [:]

  init(ruleset: Int32, handled: UInt64, paths: [LandlockPath], recorded: [PathIdentity?]?) {
    self.ruleset = ruleset
    self.handled = handled
    self.paths = paths
    self.recorded = recorded
  }

  mutating func add(below root: Int32, _ warn: (String) throws(Failure) -> Void) throws(Failure) {
    if let recorded, recorded.count != paths.count {
      throw Failure("read the container's Landlock paths", reason: "\(recorded.count) are recorded, not \(paths.count)")
    }
    for index in paths.indices {
      do throws(Failure) {
        try add(index, root, warn)
      } catch {
        throw error.operation.isEmpty ? error : error.within("/process/landlock/" + paths[index].place)
      }
    }
  }

  private mutating func add(_ index: Int, _ root: Int32, _ warn: (String) throws(Failure) -> Void) throws(Failure) {
    let rule = paths[index]
    // What was not there for the container itself is not allowed to whoever joins it.
    if let recorded, recorded[index] == nil { return identities.append(nil) }
    let file: OwnedDescriptor
    do throws(Failure) {
      file = try RootDirectory.open(rule.path, O_PATH, in: root)
    } catch {
      guard recorded != nil || (rule.optional && error.errno == .noEntry) else { throw error }
      identities.append(nil)
      return try warn("Landlock allows nothing at \(rule.path): \(error.message)")
    }
    let status = try Files.status(of: file.raw, subject: rule.path)
    let identity = PathIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    if let recorded, recorded[index] != identity {
      // Whoever is in the container may have put another file there: it gets no rights by that.
      identities.append(nil)
      return try warn(
        "Landlock allows nothing at \(rule.path): it is not the file that it was when the container was made")
    }
    identities.append(identity)
    let isDirectory = status.st_mode & S_IFMT == S_IFDIR
    if recorded == nil { try refuseNarrowing(index, identity, isDirectory: isDirectory) }
    let allowed = rule.allowed & handled & (isDirectory ? UInt64.max : LandlockNames.onFiles)
    guard allowed != 0 else {
      // The kernel may lack all of them, which the plan has told; a file that has none of a directory's rights is a mistake.
      guard rule.allowed & handled != 0 else { return }
      let names = LandlockNames.list(rule.allowed, LandlockNames.files).joined(separator: ", ")
      throw Failure(
        "", "/process/landlock/" + rule.place,
        reason: "\"\(rule.path)\" is not a directory, and only directories have \(names)")
    }
    guard nemo_landlock_allow_path(ruleset, file.raw, allowed) == 0 else {
      throw .last("add the Landlock rule for", rule.path)
    }
  }

  /// What the configuration alone could not show: two paths to one file, and a directory below another with rights for files only.
  private mutating func refuseNarrowing(_ index: Int, _ identity: PathIdentity, isDirectory: Bool) throws(Failure) {
    let rule = paths[index]
    let pointer = "/process/landlock/" + rule.place
    if let other = seen.updateValue(index, forKey: identity), paths[other].allowed != rule.allowed {
      throw Failure(
        "", pointer,
        reason:
          "\"\(rule.path)\" and \"\(paths[other].path)\" are the same file with different rights: Landlock adds them up",
        advice: "allow the same for both, or name one of them")
    }
    guard isDirectory, rule.allowed & ~LandlockNames.onFiles == 0 else { return }
    for parent in paths where parent.path != rule.path && Landlock.contains(parent.path, rule.path) {
      if let excess = Landlock.excess(of: parent.allowed, over: rule.allowed, isDirectory: true) {
        throw Landlock.narrowing(pointer, rule.path, parent.path, excess)
      }
    }
  }
}
