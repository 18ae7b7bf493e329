import NemoBlueprint
import Testing

@Test func whatIsWrittenIsReadBack() throws {
  let value = JSONValue.object([
    "a": .array([.integer(-3), .bool(true), .null, .string("\u{1F600} \" \\ \n \u{1}")]), "": .object([:]),
    "b": .array([]),
  ])
  #expect(try JSONReader.parse(Array(value.canonical.utf8)) == value)
  #expect(try JSONReader.parse(Array(value.pretty.utf8)) == value)
  #expect(try JSONReader.parse(Array(#""\ud83d\ude00\/\u0041""#.utf8)) == .string("\u{1F600}/A"))
  #expect(try JSONReader.parse(Array("1.5e3".utf8)) == .string("1.5e3"))
}

@Test(arguments: [
  "", "{", "[1,]", "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "1 2", "tru", "\"\\ud800\"", "\"\\x\"", "\"\t\"",
  "{\"a\" 1}", "[1", "nan",
  "\"a", "'a'", "+1",
])
func whatIsNoJSONIsRefused(_ text: String) {
  #expect(throws: JSONReader.Failure.self) { try JSONReader.parse(Array(text.utf8)) }
}

@Test func nestingHasALimit() {
  let deep = String(repeating: "[", count: 1000) + String(repeating: "]", count: 1000)
  #expect(throws: JSONReader.Failure.self) { try JSONReader.parse(Array(deep.utf8)) }
  #expect(throws: JSONReader.Failure.self) { try JSONReader.parse([0x22, 0xff, 0x22]) }
}
