/// Checks values against a schema and says every deviation.
struct SchemaCheck {
  var diagnostics: Diagnostics

  mutating func check(_ value: Value, _ schema: Schema, _ path: String) {
    switch schema.resolved {
    case .text(let format): text(value, format, path)
    case .choice(let words): choice(value, words, path)
    case .integer(let range):
      guard let text = plain(value, schema, path) else { return }
      guard Scalar.isInteger(text), let number = Int(text), range.contains(number) else {
        return wrong(value, schema, path, "\(Diagnostic.quoted(text)) is not \(schema.expectation)")
      }
    case .decimal(let limit):
      guard let text = plain(value, schema, path) else { return }
      guard Scalar.isDecimal(text), let number = Double(text), number > 0, number <= Double(limit) else {
        return wrong(value, schema, path, "\(Diagnostic.quoted(text)) is not \(schema.expectation)")
      }
    case .boolean:
      guard let text = plain(value, schema, path) else { return }
      if text != "true" && text != "false" {
        wrong(value, schema, path, "\(Diagnostic.quoted(text)) is neither true nor false")
      }
    case .list(let element, let range): list(value, element, range, schema, path)
    case .map(let names, let element, let limit): map(value, names, element, limit, path)
    case .object(let fields, let rule): object(value, fields, rule, path)
    case .either(let scalar, let other):
      if case .scalar = value.kind, !value.isEmpty { check(value, scalar, path) } else { check(value, other, path) }
    case .named: break
    }
  }

  private mutating func wrong(_ value: Value, _ schema: Schema, _ path: String, _ message: String) {
    diagnostics.error(value.position, path, message, legal: schema.legal)
  }

  private mutating func plain(_ value: Value, _ schema: Schema, _ path: String) -> String? {
    guard case .scalar(let text, let isPlain) = value.kind else {
      wrong(value, schema, path, "is \(value.kindName), not \(schema.expectation)")
      return nil
    }
    guard isPlain else {
      wrong(value, schema, path, "\(Diagnostic.quoted(text)) is a text, not \(schema.expectation); remove the quotes")
      return nil
    }
    if text.isEmpty {
      wrong(value, schema, path, "has no value")
      return nil
    }
    return text
  }

  private mutating func text(_ value: Value, _ format: Format, _ path: String) {
    guard case .scalar(let text, let isPlain) = value.kind else {
      return diagnostics.error(value.position, path, "is \(value.kindName), not \(format.expectation)")
    }
    if value.isEmpty { return diagnostics.error(value.position, path, "has no value", legal: [format.expectation]) }
    let isNumber = format.takesNumbers && Scalar.isInteger(text)
    if isPlain, !isNumber, Scalar.isAmbiguous(text) {
      return diagnostics.error(
        value.position, path, "\(text) without quotes is no text for every YAML reader; write \"\(text)\"")
    }
    guard text.utf8.count <= format.limit else {
      return diagnostics.error(value.position, path, "is \(text.utf8.count) bytes long; the limit is \(format.limit)")
    }
    if text.unicodeScalars.contains(where: { $0.value == 0 }) {
      return diagnostics.error(value.position, path, "holds a NUL")
    }
    if let problem = format.problem(text) {
      diagnostics.error(value.position, path, "\(Diagnostic.quoted(text)) \(problem)", legal: [format.expectation])
    }
  }

  private mutating func choice(_ value: Value, _ words: [String], _ path: String) {
    guard case .scalar(let text, _) = value.kind, !value.isEmpty else {
      return diagnostics.error(value.position, path, "is \(value.kindName), not a word", legal: words)
    }
    guard !words.contains(text) else { return }
    let near = Suggestion.nearest(text, words).map { "; did you mean \($0)?" } ?? ""
    diagnostics.error(value.position, path, "\(Diagnostic.quoted(text)) is not known\(near)", legal: words)
  }

  private mutating func list(
    _ value: Value, _ element: Schema, _ range: ClosedRange<Int>, _ schema: Schema, _ path: String
  ) {
    guard case .list(let values) = value.kind else {
      return diagnostics.error(value.position, path, "is \(value.kindName), not \(schema.expectation)")
    }
    if values.count < range.lowerBound {
      let advice = range.lowerBound == 1 ? "is empty, so nothing could ever match; leave it out or name something" : ""
      diagnostics.error(value.position, path, advice.isEmpty ? "needs at least \(range.lowerBound) elements" : advice)
    }
    if values.count > range.upperBound {
      return diagnostics.error(
        value.position, path, "has \(values.count) elements; at most \(range.upperBound) are read")
    }
    for (index, item) in values.enumerated() { check(item, element, "\(path)[\(index)]") }
  }

  private mutating func map(_ value: Value, _ names: Format, _ element: Schema, _ limit: Int, _ path: String) {
    guard case .map(let entries) = value.kind else {
      return diagnostics.error(value.position, path, "is \(value.kindName), not a mapping")
    }
    if entries.count > limit {
      return diagnostics.error(value.position, path, "has \(entries.count) entries; at most \(limit) are read")
    }
    for entry in entries {
      if let problem = entry.key.utf8.count > names.limit ? "is too long" : names.problem(entry.key) {
        diagnostics.error(
          entry.position, path, "the name \(Diagnostic.quoted(entry.key)) \(problem)", legal: [names.expectation])
      }
      check(entry.value, element, "\(path).\(entry.key)")
    }
  }

  private mutating func object(_ value: Value, _ fields: [Field], _ rule: ObjectRule, _ path: String) {
    guard case .map(let entries) = value.kind else {
      return diagnostics.error(value.position, path, "is \(value.kindName), not a mapping", legal: fields.map(\.name))
    }
    let prefix = path.isEmpty ? "" : "\(path)."
    for entry in entries {
      guard let field = fields.first(where: { $0.name == entry.key }) else {
        let near = Suggestion.nearest(entry.key, fields.map(\.name)).map { "; did you mean \($0)?" } ?? ""
        diagnostics.error(
          entry.position, prefix + String(entry.key.prefix(80)), "unknown key\(near)", legal: fields.map(\.name))
        continue
      }
      check(entry.value, field.schema, prefix + field.name)
    }
    let present = Set(entries.map(\.key))
    for field in fields where field.isRequired && !present.contains(field.name) {
      diagnostics.error(value.position, prefix + field.name, "is required", legal: field.schema.legal)
    }
    for group in rule.exactlyOne where group.count(where: present.contains) != 1 {
      diagnostics.error(value.position, path, "needs exactly one of \(group.joined(separator: ", "))")
    }
    for group in rule.atMostOne where group.count(where: present.contains) > 1 {
      diagnostics.error(value.position, path, "takes one of \(group.joined(separator: ", ")), not several")
    }
  }
}

/// Finds the word that was meant.
enum Suggestion {
  static func nearest(_ word: String, _ candidates: [String]) -> String? {
    guard word.utf8.count <= 64 else { return nil }
    let folded = fold(word)
    let best = candidates.map { (distance(folded, fold($0)), $0) }.min { $0.0 < $1.0 }
    return best.flatMap { $0.0 <= max(1, folded.count / 4) ? $0.1 : nil }
  }

  private static func fold(_ word: String) -> [UInt8] {
    word.lowercased().utf8.filter { $0 != UInt8(ascii: "_") && $0 != UInt8(ascii: "-") }
  }

  private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, y) in b.enumerated() {
        (diagonal, row[j + 1]) = (row[j + 1], min(row[j + 1] + 1, row[j] + 1, diagonal + (x == y ? 0 : 1)))
      }
    }
    return row[b.count]
  }
}
