import Glibc
import NemoKernel
import NemoLandlock
import NemoOCI

extension LandlockPlan {
  static let enforcedAnnotation = "nemoshell.landlock.enforced"
  static let degradedAnnotation = "nemoshell.degraded"

  /// What `state` says of the restrictions (spec/landlock.md).
  var annotations: [String: String] {
    var result = [LandlockPlan.enforcedAnnotation: summary]
    if !dropped.isEmpty { result[LandlockPlan.degradedAnnotation] = "landlock: " + dropped.joined(separator: ", ") }
    return result
  }
}

extension ContainerDirectory {
  /// Writes down more of the files of the rules. Without a committed record the container is none, so a part of them harms nobody.
  func recordLandlock(_ lines: [UInt8]) throws(Failure) {
    let name = ContainerDirectory.landlockName
    let flags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW
    let file = try Files.open(name, flags, mode: 0o600, at: descriptor.raw)
    try Files.writeAll(file.raw, lines, subject: "\(path)/\(name)")
  }
}

extension Container {
  /// The plan for a process that joins: the same restrictions on the same files as the container's, or an error.
  func landlockPlan(_ landlock: Landlock?) throws(Failure) -> LandlockPlan? {
    guard let landlock else { return nil }
    var plan = try LandlockPlan(landlock)
    let enforced = record.annotations[LandlockPlan.enforcedAnnotation] ?? ""
    guard plan.summary == enforced else {
      throw Failure(
        "join the container's Landlock restrictions", record.id,
        reason: "this process would get \"\(plan.summary)\", the container has \"\(enforced)\"")
    }
    guard !landlock.paths.isEmpty, !plan.enforced.enforceNothing else { return plan }
    let name = ContainerDirectory.landlockName
    let text = try Files.readText(name, limit: StateStore.stateLimit, at: directory.descriptor.raw)
    plan.recorded = try PathIdentity.decode(text, subject: "\(directory.path)/\(name)")
    return plan
  }
}
