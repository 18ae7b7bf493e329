/// A place in a text file, both from 1. Columns count characters.
public struct Position: Sendable, Hashable, Comparable {
  /// Line.
  public var line: Int
  /// Column.
  public var column: Int

  /// A place.
  public init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }

  /// Order in the file.
  public static func < (a: Position, b: Position) -> Bool { (a.line, a.column) < (b.line, b.column) }
}

/// Something to say about a file.
public struct Diagnostic: Sendable, Hashable {
  /// How bad it is.
  public enum Severity: String, Sendable, Comparable {
    /// The file is not used.
    case error
    /// The file is used; something in it does not do what it seems to.
    case warning
    /// Something to know.
    case note

    /// Errors come first.
    public static func < (a: Severity, b: Severity) -> Bool { a.rank < b.rank }

    private var rank: Int {
      switch self {
      case .error: 0
      case .warning: 1
      case .note: 2
      }
    }
  }

  /// How bad it is.
  public var severity: Severity
  /// The file as the user named it.
  public var file: String
  /// Where in it.
  public var position: Position
  /// The field, as `policy.filesystem.read_only[0]`.
  public var field: String
  /// What is wrong, and what to do.
  public var message: String
  /// What could be written instead; empty where that is no list.
  public var legal: [String]

  /// One finding.
  public init(
    _ severity: Severity, file: String, at position: Position, field: String, _ message: String, legal: [String] = []
  ) {
    self.severity = severity
    self.file = file
    self.position = position
    self.field = field
    self.message = message
    self.legal = legal
  }

  /// `file:line:column: severity: field: message (legal: a, b)`, on one line whatever the file holds.
  public var text: String {
    let subject = field.isEmpty ? "" : "\(field): "
    let choices = legal.isEmpty ? "" : " (legal: \(legal.joined(separator: ", ")))"
    return Self.printable(
      "\(file):\(position.line):\(position.column): \(severity.rawValue): \(subject)\(message)\(choices)")
  }

  /// The same as an object.
  public var json: JSONValue {
    .object([
      "file": .string(file), "line": .integer(position.line), "column": .integer(position.column),
      "severity": .string(severity.rawValue), "field": .string(field), "message": .string(message),
      "legal": .array(legal.map { .string($0) }),
    ])
  }

  /// `text` without control characters, which a terminal would obey.
  public static func printable(_ text: String) -> String {
    String(
      String.UnicodeScalarView(
        text.unicodeScalars.map { scalar in
          switch scalar.properties.generalCategory {
          case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: "\u{fffd}"
          default: scalar
          }
        }))
  }

  /// A value from a file, quoted and cut to a length that fits a line.
  public static func quoted(_ text: String) -> String {
    text.count > 60 ? "\"\(text.prefix(57))...\"" : "\"\(text)\""
  }
}

/// What was found in a file, in the file's order. It stops taking more after ``limit``.
public struct Diagnostics: Sendable {
  /// Findings kept of one file.
  public static let limit = 200

  /// The file as the user named it.
  public let file: String
  /// The findings, as found.
  public private(set) var found: [Diagnostic] = []
  /// Findings that were not kept.
  public private(set) var dropped = 0

  /// Nothing found yet.
  public init(file: String) { self.file = file }

  /// Whether an error was found.
  public var hasErrors: Bool { found.contains { $0.severity == .error } }

  /// The findings in the file's order.
  public var sorted: [Diagnostic] {
    found.enumerated().sorted { ($0.element.position, $0.offset) < ($1.element.position, $1.offset) }.map(\.element)
  }

  /// Adds an error.
  public mutating func error(_ position: Position, _ field: String, _ message: String, legal: [String] = []) {
    add(Diagnostic(.error, file: file, at: position, field: field, message, legal: legal))
  }

  /// Adds a warning.
  public mutating func warning(_ position: Position, _ field: String, _ message: String) {
    add(Diagnostic(.warning, file: file, at: position, field: field, message))
  }

  /// Adds a note.
  public mutating func note(_ position: Position, _ field: String, _ message: String) {
    add(Diagnostic(.note, file: file, at: position, field: field, message))
  }

  private mutating func add(_ diagnostic: Diagnostic) {
    if found.count < Self.limit { found.append(diagnostic) } else { dropped += 1 }
  }
}
