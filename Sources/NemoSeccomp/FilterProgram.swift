/// One instruction of classic BPF, `struct sock_filter` (seccomp(2), linux/filter.h).
struct FilterInstruction: Equatable {
  var code: UInt16
  var ifTrue: UInt8
  var ifFalse: UInt8
  var constant: UInt32

  init(_ code: UInt16, _ constant: UInt32, _ ifTrue: UInt8 = 0, _ ifFalse: UInt8 = 0) {
    self.code = code
    self.ifTrue = ifTrue
    self.ifFalse = ifFalse
    self.constant = constant
  }

  /// From the eight bytes as the kernel reads them.
  init(bits: UInt64) {
    self = withUnsafeBytes(of: bits) { bytes in
      FilterInstruction(
        bytes.load(as: UInt16.self), bytes.load(fromByteOffset: 4, as: UInt32.self), bytes[2], bytes[3])
    }
  }

  /// The eight bytes as the kernel reads them.
  var bits: UInt64 {
    var bits: UInt64 = 0
    withUnsafeMutableBytes(of: &bits) { bytes in
      bytes.storeBytes(of: code, as: UInt16.self)
      bytes[2] = ifTrue
      bytes[3] = ifFalse
      bytes.storeBytes(of: constant, toByteOffset: 4, as: UInt32.self)
    }
    return bits
  }

  /// BPF_LD+BPF_W+BPF_ABS: loads a word of struct seccomp_data.
  static let load: UInt16 = 0x20
  static let jump: UInt16 = 0x05
  static let jumpIfEqual: UInt16 = 0x15
  static let jumpIfGreater: UInt16 = 0x25
  static let jumpIfGreaterOrEqual: UInt16 = 0x35
  static let jumpIfAnySet: UInt16 = 0x45
  static let and: UInt16 = 0x54
  static let answer: UInt16 = 0x06
}

/// Places in struct seccomp_data.
enum FilterData {
  static let number: UInt32 = 0
  static let architecture: UInt32 = 4
  static let arguments: UInt32 = 16
  static let size: UInt32 = 64
}
