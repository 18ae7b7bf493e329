import NemoKernel
import Testing

@testable import NemoJSON

@Suite struct JSONWriterTests {
  private func text(_ writer: JSONWriter) -> String { String(decoding: writer.bytes, as: UTF8.self) }

  @Test func writesCompactText() {
    var writer = JSONWriter()
    writer.beginObject()
    writer.member("a", 1)
    writer.member("b", true)
    writer.member("c", ["x", "y"])
    writer.member("d", ["k2": "v2", "k1": "v1"])
    writer.key("e")
    writer.beginArray()
    writer.endArray()
    writer.endObject()
    #expect(text(writer) == "{\"a\":1,\"b\":true,\"c\":[\"x\",\"y\"],\"d\":{\"k1\":\"v1\",\"k2\":\"v2\"},\"e\":[]}")
  }

  @Test func writesIndentedText() {
    var writer = JSONWriter(indented: true)
    writer.beginObject()
    writer.member("a", [String]())
    writer.member("b", ["x"])
    writer.endObject()
    #expect(text(writer) == "{\n  \"a\": [],\n  \"b\": [\n    \"x\"\n  ]\n}")
  }

  @Test(arguments: ["", "plain", "\"\\/", "\n\r\t\u{1}\u{1f}\u{7f}", "grün 🐠", "\u{fffd}"])
  func stringsSurvive(_ original: String) throws {
    var writer = JSONWriter()
    writer.beginArray()
    writer.string(original)
    writer.endArray()
    let document = try JSONDocument(parsing: writer.bytes, subject: "written")
    #expect(try document.root.element(0).string() == original)
  }

  @Test func numbersSurvive() throws {
    var writer = JSONWriter()
    writer.beginArray()
    writer.integer(UInt64.max)
    writer.integer(Int64.min)
    writer.endArray()
    let document = try JSONDocument(parsing: writer.bytes, subject: "written")
    #expect(try document.root.element(0).integer(UInt64.self) == .max)
    #expect(try document.root.element(1).integer(Int64.self) == .min)
  }

  @Test func equalContentHasEqualCanonicalBytes() throws {
    let a = try JSONDocument(parsing: Array("{\"b\": [1, 2], \"a\": \"x\"}".utf8), subject: "a")
    let b = try JSONDocument(parsing: Array(" {\"a\":\"x\",\n\"b\":[1,2]}".utf8), subject: "b")
    #expect(try a.root.canonicalBytes() == b.root.canonicalBytes())
  }
}
