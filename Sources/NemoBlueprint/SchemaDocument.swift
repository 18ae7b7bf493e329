import NemoPolicy

/// The blueprint language written out: as JSON Schema for editors, and as a reference for people.
public enum SchemaDocument {
  /// JSON Schema 2020-12.
  public static var json: JSONValue {
    guard case .object(var members) = schema(BlueprintSchema.root) else { return .null }
    members["$schema"] = .string("https://json-schema.org/draft/2020-12/schema")
    members["$id"] = .string("urn:nemoshell:blueprint:v1")
    members["title"] = .string("nemoshell blueprint, apiVersion \(BlueprintSchema.apiVersion)")
    return .object(members)
  }

  private static func schema(_ schema: Schema) -> JSONValue {
    switch schema {
    case .text(let format): return text(format)
    case .choice(let words): return .object(["enum": .array(words.map { .string($0) })])
    case .integer(let range):
      return .object([
        "type": .string("integer"), "minimum": .integer(range.lowerBound), "maximum": .integer(range.upperBound),
      ])
    case .decimal(let limit):
      return .object(["type": .string("number"), "exclusiveMinimum": .integer(0), "maximum": .integer(limit)])
    case .boolean: return .object(["type": .string("boolean")])
    case .list(let element, let range):
      return .object([
        "type": .string("array"), "items": self.schema(element), "minItems": .integer(range.lowerBound),
        "maxItems": .integer(range.upperBound),
      ])
    case .map(let names, let element, let limit):
      return .object([
        "type": .string("object"),
        "propertyNames": .object(["pattern": .string(names.pattern), "maxLength": .integer(names.limit)]),
        "additionalProperties": self.schema(element), "maxProperties": .integer(limit),
      ])
    case .either(let a, let b): return .object(["anyOf": .array([self.schema(a), self.schema(b)])])
    case .named(_, let inner): return self.schema(inner)
    case .object(let fields, let rule): return object(fields, rule)
    }
  }

  private static func text(_ format: Format) -> JSONValue {
    let text: JSONValue = .object([
      "type": .string("string"), "pattern": .string(format.pattern), "maxLength": .integer(format.limit),
    ])
    guard format.takesNumbers else { return text }
    let number: JSONValue = .object([
      "type": .string("integer"), "minimum": .integer(0), "maximum": .integer(Int(UInt32.max) - 1),
    ])
    return .object(["anyOf": .array([text, number])])
  }

  private static func object(_ fields: [Field], _ rule: ObjectRule) -> JSONValue {
    var properties: [String: JSONValue] = [:]
    for field in fields {
      guard case .object(var members) = schema(field.schema) else { continue }
      members["description"] = .string(field.help)
      properties[field.name] = .object(members)
    }
    var members: [String: JSONValue] = [
      "type": .string("object"), "properties": .object(properties), "additionalProperties": .bool(false),
    ]
    let required = fields.filter(\.isRequired).map { JSONValue.string($0.name) }
    if !required.isEmpty { members["required"] = .array(required) }
    let has = { (name: String) in JSONValue.object(["required": .array([.string(name)])]) }
    let exactly = rule.exactlyOne.map { JSONValue.object(["oneOf": .array($0.map(has))]) }
    let most = rule.atMostOne.map { group in
      JSONValue.object(["not": .object(["required": .array(group.map { .string($0) })])])
    }
    if !(exactly + most).isEmpty { members["allOf"] = .array(exactly + most) }
    return .object(members)
  }

  /// Every field in Markdown tables.
  public static var reference: String {
    var text = ""
    var seen: Set<String> = []
    section("Blueprint", BlueprintSchema.root.resolved, &seen, &text)
    return text
  }

  private static func section(_ name: String, _ schema: Schema, _ seen: inout Set<String>, _ text: inout String) {
    guard seen.insert(name).inserted, case .object(let fields, let rule) = schema else { return }
    text += "### \(name)\n\n| field | value | meaning |\n|---|---|---|\n"
    for field in fields {
      let value = field.schema.expectation.replacing("|", with: "\\|")
      text +=
        "| `\(field.name)`\(field.isRequired ? " (required)" : "") | \(value) | \(field.help.replacing("|", with: "\\|")) |\n"
    }
    for group in rule.exactlyOne { text += "\nExactly one of \(group.map { "`\($0)`" }.joined(separator: ", ")).\n" }
    for group in rule.atMostOne { text += "\nNot both of \(group.map { "`\($0)`" }.joined(separator: ", ")).\n" }
    text += "\n"
    for field in fields { inner(field.name, field.schema, &seen, &text) }
  }

  private static func inner(_ field: String, _ schema: Schema, _ seen: inout Set<String>, _ text: inout String) {
    switch schema {
    case .named(let name, let inner): section(name, inner.resolved, &seen, &text)
    case .object: section(field, schema, &seen, &text)
    case .list(let element, _): inner(field, element, &seen, &text)
    case .map(_, let element, _): inner(field, element, &seen, &text)
    case .either(let a, let b):
      inner(field, a, &seen, &text)
      inner(field, b, &seen, &text)
    default: break
    }
  }
}
