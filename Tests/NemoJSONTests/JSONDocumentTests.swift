import NemoKernel
import Testing

@testable import NemoJSON

/// What a parsed text gives for `read`, or the error.
private func read<T>(_ text: String, _ read: (JSONNode) throws(Failure) -> T) -> Result<T, Failure> {
  do throws(Failure) {
    let document = try JSONDocument(parsing: Array(text.utf8), subject: "file.json")
    return .success(try read(document.root))
  } catch {
    return .failure(error)
  }
}

private func message<T>(_ result: Result<T, Failure>) -> String? {
  if case .failure(let failure) = result { return failure.message }
  return nil
}

private func value<T>(_ result: Result<T, Failure>) -> T? {
  if case .success(let value) = result { return value }
  return nil
}

@Suite struct JSONDocumentTests {
  @Test func malformedTextIsNamedByLineAndColumn() throws {
    let text = try #require(message(read("{\n  \"a\": 1,\n  ]", { _ in })))
    #expect(text.hasPrefix("parse file.json: line 3, column 3: "))
  }

  @Test(arguments: [
    "", "{]", "{", "[1,]", "{\"a\":1} x", "{'a':1}", "nul", "\"a\"\u{1}", "[01]", "[1e]", "[NaN]", "{\"a\" 1}",
    "\u{feff}{}",
  ])
  func malformedTextIsRefused(_ text: String) throws {
    let error = try #require(message(read(text, { _ in })))
    #expect(error.hasPrefix("parse file.json: line "))
    #expect(!error.contains("\n"))
  }

  @Test(arguments: [
    "{\"a\": 1, \"a\": 1}", "{\"a\": {\"b\": 1, \"b\": 2}}", "[{\"a\": 1, \"\\u0061\": 2}]", "{\"a\": null, \"a\": 1}",
  ])
  func duplicateKeysAreRefused(_ text: String) throws {
    #expect(try #require(message(read(text, { _ in }))).contains("duplicate"))
  }

  @Test func sameKeyInTwoObjectsIsFine() {
    #expect(message(read("{\"a\": {\"b\": 1}, \"c\": {\"b\": 1}}", { _ in })) == nil)
  }

  @Test(arguments: ["\"a\\u0000b\"", "{\"a\\u0000b\": 1}"])
  func nulIsRefused(_ text: String) {
    #expect(message(read("[\(text)]", { _ in })) != nil)
  }

  @Test func invalidUTF8IsRefused() {
    #expect(throws: Failure.self) {
      try JSONDocument(parsing: Array("[\"".utf8) + [0xc3, 0x28] + Array("\"]".utf8), subject: "file.json")
    }
  }

  @Test func depthIsLimited() throws {
    let deep = String(repeating: "[", count: 100_000)
    #expect(message(read(deep, { _ in })) != nil)
  }
}

@Suite struct IntegerTests {
  @Test(arguments: [
    ("0", 0), ("-0", 0), ("7", 7), ("9223372036854775807", UInt64(Int64.max)), ("9223372036854775808", 1 << 63),
    ("18446744073709551614", .max - 1), ("18446744073709551615", .max),
  ])
  func unsignedIntegersReachTheirBound(_ text: String, _ expected: UInt64) {
    for text in ["[\(text)]", "[ \(text) ]", "[\(text)\n]"] {
      #expect(value(read(text) { (node) throws(Failure) in try node.element(0).integer(UInt64.self) }) == expected)
    }
  }

  @Test(arguments: [("-9223372036854775808", Int64.min), ("9223372036854775807", .max), ("-1", -1)])
  func signedIntegersReachTheirBounds(_ text: String, _ expected: Int64) {
    #expect(value(read("[\(text)]") { (node) throws(Failure) in try node.element(0).integer(Int64.self) }) == expected)
  }

  @Test(arguments: [
    "18446744073709551616", "99999999999999999999", "-9223372036854775809", "-18446744073709551616",
    "100000000000000000000000",
  ])
  func largerIntegersAreNamedByWhoReadsThem(_ text: String) {
    for text in ["[\(text)]", "[ \(text) ]", "[\(text)\n]"] {
      let result = read(text) { (node) throws(Failure) in try node.element(0).integer(UInt64.self) }
      let number = text.filter { $0 == "-" || $0.isNumber }
      #expect(message(result) == "/0: \(number) is out of range 0 ... 18446744073709551615")
    }
  }

  @Test func aVeryLongIntegerIsCutInTheMessage() {
    let result = read("[1\(String(repeating: "0", count: 5000))]") { (node) throws(Failure) in
      try node.element(0).integer(Int.self)
    }
    let cut = "1" + String(repeating: "0", count: 39) + "…"
    #expect(message(result) == "/0: \(cut) is out of range \(Int.min) ... \(Int.max)")
  }

  @Test func anIntegerThatNobodyReadsIsNoError() {
    #expect(
      value(
        read("{\"a\": 99999999999999999999, \"b\": 1}") { (node) throws(Failure) in
          try node.required("b").integer(Int.self)
        }) == 1)
  }

  @Test(arguments: ["{18446744073709551615: 1}", "[018446744073709551615]", "[-]", "[18446744073709551615 1]"])
  func aLargeIntegerInTheWrongPlaceIsRefused(_ text: String) {
    #expect(message(read(text, { _ in })) != nil)
  }

  @Test func anIntegerAboveItsTypeIsOutOfRange() {
    let result = read("{\"a\": 18446744073709551615}") { (node) throws(Failure) in
      try node.required("a").integer(Int64.self)
    }
    #expect(message(result) == "/a: 18446744073709551615 is out of range \(Int64.min) ... \(Int64.max)")
    let negative = read("{\"a\": -1}") { (node) throws(Failure) in try node.required("a").integer(UInt64.self) }
    #expect(message(negative) == "/a: -1 is out of range 0 ... 18446744073709551615")
  }

  @Test(arguments: ["1.5", "1.0", "1e3", "9223372036854775808.0", "18446744073709551615e0"])
  func fractionsAndExponentsAreNoIntegers(_ text: String) {
    let result = read("[\(text)]") { (node) throws(Failure) in try node.element(0).integer(UInt64.self) }
    #expect(message(result) == "/0: must be an integer, not a number with a fraction")
  }

  @Test func digitsInStringsStayStrings() {
    let text =
      "{\"18446744073709551615\": \"18446744073709551615 \\\" 9999999999999999999\", \"b\": 18446744073709551615}"
    #expect(
      value(read(text) { (node) throws(Failure) in try node.required("18446744073709551615").string() })
        == "18446744073709551615 \" 9999999999999999999")
    #expect(value(read(text) { (node) throws(Failure) in try node.required("b").integer(UInt64.self) }) == .max)
  }

  @Test func aLargeIntegerIsNoString() {
    let result = read("[18446744073709551615]") { (node) throws(Failure) in try node.element(0).string() }
    #expect(message(result) == "/0: must be a string, not an integer")
  }
}

@Suite struct PointerTests {
  @Test func pointersNameTheWay() {
    let text = "{\"a\": [{}, {\"b/c\": {\"d~e\": [1, \"x\"]}}]}"
    let result = read(text) { (node) throws(Failure) in
      try node.required("a").element(1).required("b/c").required("d~e").element(1).integer(Int.self)
    }
    #expect(message(result) == "/a/1/b~1c/d~0e/1: must be an integer, not a string")
  }

  @Test func theTopIsNamedToo() {
    #expect(
      message(read("[]") { (node) throws(Failure) in try node.field("a") }) == "/: must be an object, not an array")
  }

  @Test func equalValuesAreTwoPlaces() {
    // Parsers may share small values; the pointer must still be of the place that was read.
    let result = read("[true, true, [true, true]]") { (node) throws(Failure) in
      try node.element(2).element(1).string()
    }
    #expect(message(result) == "/2/1: must be a string, not a boolean")
  }

  @Test func missingMembersAreNamed() {
    for text in ["{\"a\": {}}", "{\"a\": {\"b\": null}}"] {
      let result = read(text) { (node) throws(Failure) in try node.required("a").required("b") }
      #expect(message(result) == "/a/b: is required")
    }
  }

  @Test(arguments: [
    ("{}", "an object"), ("[]", "an array"), ("\"x\"", "a string"), ("1", "an integer"),
    ("1.5", "a number with a fraction"),
    ("null", "null"), ("18446744073709551615", "an integer"),
  ])
  func wrongTypesAreNamed(_ text: String, _ have: String) {
    let result = read("[\(text)]") { (node) throws(Failure) in try node.element(0).boolean() }
    #expect(message(result) == "/0: must be a boolean, not \(have)")
  }

  @Test func nullIsAbsent() {
    let result = read("{\"a\": null}") { (node) throws(Failure) in try node.field("a") == nil }
    #expect(value(result) == true)
  }

  @Test func membersComeInTheirOrder() {
    let result = read("{\"z\": 1, \"a\": 2, \"m\": 3}") { (node) throws(Failure) in try node.members().map(\.name) }
    #expect(value(result) == ["z", "a", "m"])
  }

  @Test func controlCharactersCannotForgeLines() {
    let result = read("{\"a\\nb\": {\"x\": 1}}") { (node) throws(Failure) in try node.members()[0].node.string() }
    #expect(message(result) == "/a\\nb: must be a string, not an object")
  }
}
