import NemoBlueprint
import NemoPolicy

/// Read-only paths within writable directories.
///
/// The runtime mounts such a path read-only on itself, so it can be neither changed nor moved. A directory between it and the
/// writable one could be moved away with it, and the path made anew: so each of those is mounted on itself too, which
/// changes nothing but that it stays where it is.
struct NestedReadOnly {
  /// config.json with the mounts that hold the directories in between.
  private(set) var document: JSONValue
  /// Where the paths are on the host: a directory, and a path below it on which there must be no link.
  private(set) var mustExist: [(directory: String, path: String)] = []

  /// - Parameters:
  ///   - document: config.json.
  ///   - paths: the read-only paths.
  ///   - bundle: directory that a relative root file system is in.
  init?(_ document: JSONValue, _ paths: [String], bundle: String) {
    guard case .object(var members) = document, let root = document["root"] else { return nil }
    self.document = document
    var mounts: [String: JSONValue] = [:]
    for mount in document["mounts"]?.elements ?? [] {
      guard let place = mount["destination"]?.text else { return nil }
      mounts[place] = mount
    }
    var sources = mounts.compactMapValues { $0["type"]?.text == "bind" ? $0["source"]?.text : nil }
    if root["readonly"] == .bool(false), let path = root["path"]?.text {
      sources["/"] = path.hasPrefix("/") ? path : "\(bundle)/\(path)"
    }
    for path in paths {
      let outer = (Array(mounts.keys) + ["/"]).filter { $0 != path && PolicyPath.isInside(path, $0) }
      guard let place = outer.max(by: { $0.utf8.count < $1.utf8.count }), let source = sources[place] else { continue }
      let below = String(path.dropFirst(place == "/" ? 1 : place.count + 1))
      mustExist.append((source, below))
      let options = mounts[place]?["options"]?.elements ?? ["bind", "private", "nosuid", "nodev"].map { .string($0) }
      var between = ""
      for name in below.split(separator: "/").dropLast() {
        between += "/" + name
        let destination = (place == "/" ? "" : place) + between
        mounts[destination] = .object([
          "destination": .string(destination), "type": .string("bind"), "source": .string(source + between),
          "options": .array(options),
        ])
      }
    }
    members["mounts"] = .array(mounts.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }.map(\.value))
    self.document = .object(members)
  }
}
