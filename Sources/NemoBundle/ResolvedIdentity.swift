import NemoBlueprint

/// User and groups as numbers.
struct ResolvedIdentity {
  var uid: UInt32
  var gid: UInt32
  /// More groups, sorted.
  var groups: [UInt32]

  /// Looks names up in the root file system.
  init(_ identity: Identity, _ rootfs: Rootfs) throws {
    func number(_ text: String, _ kind: String, _ lookup: (String) -> UInt32?) throws -> UInt32 {
      guard let id = UInt32(text) ?? lookup(text) else {
        throw BundleFailure("\(identity.origin): the root file system has no \(kind) \(Diagnostic.quoted(text))")
      }
      guard id != 0 || identity.allowsRoot else {
        throw BundleFailure(
          "\(identity.origin): \(kind) \(Diagnostic.quoted(text)) is 0; name another, or set allow_root: true")
      }
      return id
    }
    uid = try number(identity.user, "user", rootfs.uid)
    gid = try number(identity.group, "group", rootfs.gid)
    groups = Set(try identity.groups.map { try number($0, "group", rootfs.gid) }).sorted()
  }
}
