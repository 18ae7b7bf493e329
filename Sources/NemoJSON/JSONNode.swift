import CJansson
import Glibc
import NemoKernel

/// One value of a ``JSONDocument``, with the way to it, so that an error can name it by JSON pointer (RFC 6901).
public struct JSONNode {
  /// What kind of value it is.
  public enum Kind: Sendable {
    case object, array, string, integer, real, boolean, null
  }

  let value: UnsafeMutablePointer<json_t>
  let root: UnsafeMutablePointer<json_t>
  let parent: UnsafeMutablePointer<json_t>?
  /// The name in the parent object; the document's own bytes or a literal's.
  let key: UnsafePointer<CChar>?
  let index: Int

  /// The kind of the value. An integer outside of −2^63 ... 2^63−1 is an integer, though kept as a string inside.
  public var kind: Kind {
    switch value.pointee.type {
    case JSON_OBJECT: .object
    case JSON_ARRAY: .array
    case JSON_STRING: largeInteger == nil ? .string : .integer
    case JSON_INTEGER: .integer
    case JSON_REAL: .real
    case JSON_TRUE, JSON_FALSE: .boolean
    default: .null
    }
  }

  /// The sign and the digits of an integer that jansson cannot hold; nil for every other value.
  private var largeInteger: Substring.UTF8View? {
    guard value.pointee.type == JSON_STRING, let c = json_string_value(value),
      UInt8(bitPattern: c[0]) == LargeIntegers.mark[0],
      UInt8(bitPattern: c[1]) == LargeIntegers.mark[1], UInt8(bitPattern: c[2]) == LargeIntegers.mark[2]
    else { return nil }
    let number = String(cString: c + 3)[...].utf8
    let digits = number.first == 0x2d ? number.dropFirst() : number
    return !digits.isEmpty && digits.allSatisfy { $0 &- 0x30 < 10 } ? number : nil
  }

  /// The JSON pointer of this value, made only when an error needs it.
  public var pointer: String {
    guard let parent else { return "" }
    let name = index >= 0 ? String(index) : key.map { JSONNode.escape(String(cString: $0)) } ?? ""
    return (JSONNode.path(to: parent, from: root) ?? "") + "/" + name
  }

  /// `key` as one token of a JSON pointer: `~` becomes `~0`, `/` becomes `~1`.
  public static func escape(_ key: String) -> String {
    var text = ""
    for c in key { if c == "~" { text += "~0" } else if c == "/" { text += "~1" } else { text.append(c) } }
    return text
  }

  private static func path(to target: UnsafeMutablePointer<json_t>, from value: UnsafeMutablePointer<json_t>) -> String?
  {
    if target == value { return "" }
    if value.pointee.type == JSON_OBJECT {
      var iterator = json_object_iter(value)
      while let i = iterator {
        if let child = json_object_iter_value(i), let rest = path(to: target, from: child) {
          return "/" + escape(String(cString: json_object_iter_key(i))) + rest
        }
        iterator = json_object_iter_next(value, i)
      }
    } else if value.pointee.type == JSON_ARRAY {
      for i in 0..<json_array_size(value) {
        if let child = json_array_get(value, i), let rest = path(to: target, from: child) { return "/\(i)" + rest }
      }
    }
    return nil
  }

  /// An error about this value: `<pointer>: <reason>`.
  public func failure(_ reason: String, advice: String = "") -> Failure {
    let pointer = self.pointer
    return Failure("", pointer.isEmpty ? "/" : pointer, reason: reason, advice: advice)
  }

  private func mismatch(_ wanted: String) -> Failure {
    let have =
      switch kind {
      case .object: "an object"
      case .array: "an array"
      case .string: "a string"
      case .integer: "an integer"
      case .real: "a number with a fraction"
      case .boolean: "a boolean"
      case .null: "null"
      }
    return failure("must be \(wanted), not \(have)")
  }

  /// The member `name` of an object; nil when it is absent or null.
  public func field(_ name: StaticString) throws(Failure) -> JSONNode? {
    guard value.pointee.type == JSON_OBJECT else { throw mismatch("an object") }
    let key = UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self)
    guard let member = json_object_get(value, key), member.pointee.type != JSON_NULL else { return nil }
    return JSONNode(value: member, root: root, parent: value, key: key, index: -1)
  }

  /// The member `name` of an object; absent or null is an error.
  public func required(_ name: StaticString) throws(Failure) -> JSONNode {
    if let node = try field(name) { return node }
    throw Failure("", pointer + "/" + JSONNode.escape(name.description), reason: "is required")
  }

  /// Calls `body` with each member in their order.
  public func forEachMember(_ body: (String, JSONNode) throws(Failure) -> Void) throws(Failure) {
    guard value.pointee.type == JSON_OBJECT else { throw mismatch("an object") }
    var iterator = json_object_iter(value)
    while let i = iterator {
      if let child = json_object_iter_value(i), let name = json_object_iter_key(i) {
        try body(String(cString: name), JSONNode(value: child, root: root, parent: value, key: name, index: -1))
      }
      iterator = json_object_iter_next(value, i)
    }
  }

  /// All members in their order.
  public func members() throws(Failure) -> [(name: String, node: JSONNode)] {
    var result: [(name: String, node: JSONNode)] = []
    try forEachMember { (name, node) throws(Failure) in result.append((name, node)) }
    return result
  }

  /// The number of elements of an array.
  public func count() throws(Failure) -> Int {
    guard value.pointee.type == JSON_ARRAY else { throw mismatch("an array") }
    return json_array_size(value)
  }

  /// Element `i` of an array, which must exist.
  public func element(_ i: Int) throws(Failure) -> JSONNode {
    guard let child = json_array_get(value, i) else { throw failure("has no element \(i)") }
    return JSONNode(value: child, root: root, parent: value, key: nil, index: i)
  }

  /// The array with every element converted.
  @inlinable public func array<T>(_ convert: (JSONNode) throws(Failure) -> T) throws(Failure) -> [T] {
    let count = try count()
    var result: [T] = []
    if count == 0 { return result }
    result.reserveCapacity(count)
    for i in 0..<count { result.append(try convert(try element(i))) }
    return result
  }

  /// A string without NUL.
  public func string() throws(Failure) -> String {
    guard value.pointee.type == JSON_STRING, largeInteger == nil, let c = json_string_value(value) else {
      throw mismatch("a string")
    }
    return String(cString: c)
  }

  /// An array of strings.
  public func strings() throws(Failure) -> [String] {
    try array { (node) throws(Failure) in try node.string() }
  }

  /// A boolean.
  public func boolean() throws(Failure) -> Bool {
    switch value.pointee.type {
    case JSON_TRUE: return true
    case JSON_FALSE: return false
    default: throw mismatch("a boolean")
    }
  }

  /// An integer in the range of `T`.
  @inlinable public func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(Failure) -> T {
    guard let (bits, isNegative) = try wholeNumber() else {
      throw outOfRange(digits, lower: "\(T.min)", upper: "\(T.max)")
    }
    if isNegative {
      let number = Int64(bitPattern: bits)
      guard let exact = T(exactly: number) else {
        throw outOfRange("\(number)", lower: "\(T.min)", upper: "\(T.max)")
      }
      return exact
    }
    guard let exact = T(exactly: bits) else { throw outOfRange("\(bits)", lower: "\(T.min)", upper: "\(T.max)") }
    return exact
  }

  /// An integer's 64 bits, and whether they are to be read as a negative number; nil when it has more.
  public func wholeNumber() throws(Failure) -> (bits: UInt64, isNegative: Bool)? {
    if let large = largeInteger { return LargeIntegers.unsigned(large).map { ($0, false) } }
    guard value.pointee.type == JSON_INTEGER else { throw mismatch("an integer") }
    let number = json_integer_value(value)
    return (UInt64(bitPattern: Int64(number)), number < 0)
  }

  /// An integer of more than 64 bits as it is written, cut to a readable length.
  public var digits: String {
    guard let large = largeInteger else { return "" }
    return String(Substring(large.prefix(40))) + (large.count > 40 ? "…" : "")
  }

  /// An error about an integer outside of `lower` ... `upper`.
  public func outOfRange(_ number: String, lower: String, upper: String) -> Failure {
    failure("\(number) is out of range \(lower) ... \(upper)")
  }

  /// This value as compact JSON text with sorted keys: equal content gives equal bytes.
  public func canonicalBytes() throws(Failure) -> [UInt8] {
    let sortKeys = 0x80
    return try text(flags: sortKeys)
  }

  func text(flags: Int) throws(Failure) -> [UInt8] {
    let compact = 0x20
    let anyValue = 0x200
    // A size that is too small is answered by the one that is needed.
    let size = json_dumpb(value, nil, 0, flags | compact | anyValue)
    guard size > 0 else { throw failure("cannot be written as JSON") }
    return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      count = buffer.withMemoryRebound(to: CChar.self) {
        json_dumpb(value, $0.baseAddress, size, flags | compact | anyValue)
      }
    }
  }
}
