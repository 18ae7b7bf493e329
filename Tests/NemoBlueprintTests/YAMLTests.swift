import NemoBlueprint
import Testing

/// What YAML allows and a policy must not: each gets one clean error, fast.
@Suite struct YAMLTests {
  @Test func theSmallestOneIsAccepted() { #expect(errors(blueprint()) == []) }

  @Test func aliasesDoNotUnfold() {
    var bomb = "a0: &a0 [x, x]\n"
    for level in 1...40 {
      bomb += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1), *a\(level - 1), *a\(level - 1)]\n"
    }
    #expect(errors(bomb) == ["b.yaml:1:5: error: the file holds an anchor (&); blueprints write values out"])
    #expect(errors("? *a\n: b\n").count == 1)
    #expect(errors("a: *b\n") == ["b.yaml:1:4: error: the file holds an alias (*); quote a text that begins with *"])
    #expect(errors("- - &a x\n").count == 1)
    #expect(errors("{a: [1, &x 2]}\n").count == 1)
  }

  @Test(arguments: [
    ("a: !!python/object:os.system x\n", "tag"), ("a: !x y\n", "tag"), ("%YAML 1.1\n---\na: b\n", "directive"),
    ("a: 1\n---\nb: 2\n", "more than one document"), ("a: 1\n...\nb: 2\n", "more than one document"),
    ("a:\n\tb: 1\n", "tab"), ("\ta: 1\n", "tab"), ("a: 1\n  \tb: 2\n", "tab"), ("\u{feff}a: 1\n", "byte order mark"),
    ("a: \u{1}b\n", "control character"), ("a: \"b\u{7f}\"\n", "control character"), ("? a\n: b\n", "complex key"),
    ("a: 'b\n", "never ends"), ("a: \"b\\", "never ends"), ("", "empty"), ("# nothing\n", "empty"),
    ("a: [1\n", "not YAML"),
    ("a: b: c\n", "not YAML"), ("[a, b]: c\n", "single word"), ("<<: {a: 1}\n", "merge keys"),
    ("a: 1\na: 2\n", "more than once"), ("a: {b: 1, b: 2}\n", "more than once"), ("a: 1\n\"a\": 2\n", "more than once"),
    ("a: @b\n", "not YAML"), ("- a\nb: c\n", "not YAML"), ("a: `b`\n", "not YAML"),
  ])
  func refuses(_ text: String, _ part: String) {
    let found = errors(text)
    #expect(found.count >= 1 && found.allSatisfy { !$0.contains("\n") })
    #expect(found.contains { $0.contains(part) }, "\(found)")
  }

  @Test func bytesThatAreNoUTF8() {
    let found = BlueprintReader.read([0x61, 0x3a, 0x20, 0x62, 0x0a, 0x63, 0xff], file: "b.yaml").diagnostics.sorted
    #expect(found.map(\.text) == ["b.yaml:2:1: error: the file is not UTF-8"])
    #expect(
      BlueprintReader.read([0xff, 0xfe, 0x61, 0], file: "b").diagnostics.sorted.first?.message.contains("UTF-16")
        == true)
    #expect(BlueprintReader.read([0x61, 0], file: "b").diagnostics.hasErrors)
  }

  @Test func deepNestingIsRefusedBeforeItIsBuilt() {
    for text in [
      String(repeating: "[", count: 200_000), String(repeating: "- ", count: 200_000) + "a",
      String(repeating: "{a: ", count: 100_000), (0..<1000).map { String(repeating: " ", count: $0) + "a:\n" }.joined(),
    ] {
      #expect(errors(text) == errors(text) && errors(text).first?.contains("nested deeper than 32") == true)
    }
  }

  @Test func lineEndsOfWindowsAreLineEnds() {
    #expect(errors(blueprint().replacing("\n", with: "\r\n")) == [])
    #expect(errors("---\n" + blueprint()) == [])
  }

  @Test func quotesAndTextsMayHoldWhatTokensMayNot() {
    let text = blueprint().replacing(
      "version: 1.0.0",
      with:
        "version: 1.0.0\n  description: |\n    &a *b !c\n    - [[[ {{{\n\n    ? x\n  labels: {a: '*x', b: \"&y\", c: d*e&f!g}"
    )
    #expect(errors(text) == [])
    #expect(errors(text.replacing("description: |", with: "description: >-")) == [])
  }

  @Test func sizesAndCounts() {
    let clock = ContinuousClock()
    let long = blueprint().replacing(
      "version: 1.0.0", with: "version: 1.0.0\n  description: \"\(String(repeating: "a", count: 5 << 20))\"")
    #expect(errors(long).first?.contains("bytes long") == true)
    var many = "  network_policies:\n    r:\n      endpoints:\n"
    for index in 0..<100_000 { many += "      - {host: h\(index).a.b, port: 1}\n" }
    var found: [String] = []
    let time = clock.measure { found = errors(blueprint(policy: many, network: "veth")) }
    #expect(found.count == 1 && found[0].contains("has 100000 elements; at most 20000 are read"), "\(found.prefix(3))")
    #expect(time < .seconds(60), "an unoptimised build on a busy machine")
  }
}
