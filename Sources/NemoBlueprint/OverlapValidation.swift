import NemoPolicy

extension Validation {
  /// An endpoint with where it is.
  struct Placed {
    var rule: String
    var field: String
    var value: Value
  }

  /// How the connections of an endpoint are treated.
  private struct Treatment: Hashable {
    var transport: String
    var isInspected: Bool
    var tls: String
  }

  /// Two endpoints for the same destination must not undo each other.
  mutating func overlaps(_ places: [Placed]) {
    let decoder = Decoder(file: blueprint.file)
    var earlier: [Treatment: [(ports: [ClosedRange<UInt16>], place: Placed)]] = [:]
    var contents: [String: Placed] = [:]
    for place in places {
      let treatment = Treatment(
        transport: place.value["transport"]?.text ?? "tcp", isInspected: place.value["protocol"] != nil,
        tls: place.value["tls"]?.text ?? "auto")
      let ports = decoder.ports(place.value)
      for (other, group) in earlier where other != treatment && other.transport == treatment.transport {
        let hit = group.first { entry in entry.ports.contains { range in ports.contains { $0.overlaps(range) } } }
        guard let hit else { continue }
        let first = "\(hit.place.field), line \(hit.place.value.position.line)"
        let message =
          other.isInspected != treatment.isInspected
          ? "the same destination is inspected in one of this and \(first), and not in the other; inspection would mean nothing"
          : "tls differs from \(first) for the same destination"
        diagnostics.error(place.value.position, place.field, message)
      }
      earlier[treatment, default: []].append((ports, place))
      let content = "\(place.rule) \(place.value.json.canonical)"
      if let first = contents[content] {
        diagnostics.error(
          place.value.position, place.field, "says the same as \(first.field), line \(first.value.position.line)")
      } else {
        contents[content] = place
      }
    }
  }
}
