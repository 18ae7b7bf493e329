/// What a value may be. One table of these describes blueprints: the reader checks against it, and the JSON Schema and
/// the reference are written from it.
indirect enum Schema: Sendable {
  case text(Format)
  /// One of these words.
  case choice([String])
  case integer(ClosedRange<Int>)
  /// A decimal number above zero and up to a limit.
  case decimal(upTo: Int)
  case boolean
  /// Elements, and how many.
  case list(Schema, ClosedRange<Int>)
  /// Names of the user's choice, and how many at most.
  case map(Format, Schema, limit: Int)
  case object([Field], ObjectRule)
  /// A single value, or something else; told apart by their kind.
  case either(Schema, Schema)
  /// An object that is described elsewhere, by its name in the reference.
  case named(String, Schema)

  static func object(_ fields: [Field]) -> Schema { .object(fields, ObjectRule()) }
  static func list(_ element: Schema) -> Schema { .list(element, 0...1024) }

  /// The schema without its name.
  var resolved: Schema { if case .named(_, let schema) = self { schema.resolved } else { self } }

  /// What to write, in a few words.
  var expectation: String {
    switch self {
    case .text(let format): format.expectation
    case .choice(let words): words.count == 1 ? words[0] : "one of " + words.joined(separator: ", ")
    case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
    case .decimal(let limit): "a number above 0, at most \(limit)"
    case .boolean: "true or false"
    case .list(let element, _): "a list, each \(element.expectation)"
    case .map: "a mapping of names"
    case .object: "a mapping"
    case .either(let a, let b): "\(a.expectation); or \(b.expectation)"
    case .named(let name, _): "`\(name)`"
    }
  }

  /// Legal values where they can be listed.
  var legal: [String] {
    switch self {
    case .choice(let words): words
    case .boolean: ["true", "false"]
    case .integer(let range): ["\(range.lowerBound) to \(range.upperBound)"]
    case .either(let a, let b): a.legal + b.legal
    case .named(_, let schema): schema.legal
    case .text(let format): [format.expectation]
    default: []
    }
  }
}

/// A member of an object.
struct Field: Sendable {
  var name: String
  var schema: Schema
  var isRequired: Bool
  var help: String

  init(_ name: String, _ schema: Schema, required: Bool = false, _ help: String) {
    self.name = name
    self.schema = schema
    self.isRequired = required
    self.help = help
  }
}

/// What holds between the members of an object.
struct ObjectRule: Sendable {
  /// Groups of which exactly one member is there.
  var exactlyOne: [[String]] = []
  /// Groups of which at most one member is there.
  var atMostOne: [[String]] = []
}

/// A kind of text: the pattern for the JSON Schema, and the check that also says what is wrong.
struct Format: Sendable {
  var name: String
  var expectation: String
  /// ECMA 262 regular expression; the check may be stricter.
  var pattern: String
  /// Largest length in bytes.
  var limit: Int
  /// Plain scalars that look like numbers are texts here.
  var takesNumbers: Bool
  /// Why a text is refused; nil where it is not.
  var problem: @Sendable (String) -> String?

  init(
    _ name: String, _ expectation: String, pattern: String, limit: Int = 4096, takesNumbers: Bool = false,
    _ problem: @escaping @Sendable (String) -> String? = { _ in nil }
  ) {
    self.name = name
    self.expectation = expectation
    self.pattern = pattern
    self.limit = limit
    self.takesNumbers = takesNumbers
    self.problem = problem
  }
}
