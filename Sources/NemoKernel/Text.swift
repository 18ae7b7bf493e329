extension String {
  /// With the letters a to z in upper case and everything else as it is. For names of the kernel's, which are ASCII: the standard
  /// library's `uppercased()` draws in the tables of Unicode, half a megabyte of memory.
  public var asciiUppercased: String { String(decoding: utf8.map { $0 &- 0x61 < 26 ? $0 - 0x20 : $0 }, as: UTF8.self) }

  /// A number in decimal digits. The standard library's way serves every radix and every type of integer, and costs a verb three times
  /// 64 KiB of memory by the code that it touches.
  public init(decimal number: some FixedWidthInteger) {
    var rest = UInt64(truncatingIfNeeded: number.magnitude)
    var digits: [UInt8] = []
    repeat {
      digits.append(UInt8(truncatingIfNeeded: rest % 10) + 0x30)
      rest /= 10
    } while rest > 0
    if number < 0 { digits.append(0x2d) }
    digits.reverse()
    self.init(decoding: digits, as: UTF8.self)
  }
}
