import CSeccomp

@testable import NemoSeccomp

/// What the kernel shows a filter, struct seccomp_data.
struct Call {
  var number: UInt32
  var architecture: UInt32
  var arguments: [UInt64] = [0, 0, 0, 0, 0, 0]

  func word(at offset: UInt32) -> UInt32? {
    guard offset.isMultiple(of: 4), offset < 64 else { return nil }
    switch offset {
    case 0: return number
    case 4: return architecture
    case 8, 12: return 0
    default:
      let argument = arguments[Int(offset - 16) / 8]
      return UInt32(truncatingIfNeeded: offset.isMultiple(of: 8) ? argument : argument >> 32)
    }
  }
}

/// Runs a program as bpf(4) defines it; nil where the kernel would have refused the program.
func answer(_ program: [FilterInstruction], _ call: Call) -> UInt32? {
  var accumulator: UInt32 = 0
  var i = 0
  while i < program.count {
    let it = program[i]
    i += 1
    func branch(_ taken: Bool) { i += Int(taken ? it.ifTrue : it.ifFalse) }
    switch it.code {
    case 0x20:
      guard let word = call.word(at: it.constant) else { return nil }
      accumulator = word
    case 0x05: i += Int(it.constant)
    case 0x15: branch(accumulator == it.constant)
    case 0x25: branch(accumulator > it.constant)
    case 0x35: branch(accumulator >= it.constant)
    case 0x45: branch(accumulator & it.constant != 0)
    case 0x54: accumulator &= it.constant
    case 0x06: return it.constant
    default: return nil
    }
  }
  return nil
}

let x86 = seccomp_arch_resolve_name("x86")
let x8664 = seccomp_arch_resolve_name("x86_64")
let aarch64 = seccomp_arch_resolve_name("aarch64")

func number(_ name: String, _ architecture: UInt32 = x8664) -> UInt32 {
  UInt32(bitPattern: seccomp_syscall_resolve_name_arch(architecture, name))
}

func errno(_ number: Int32) -> UInt32 { 0x0005_0000 | UInt32(number) }
