import CJansson
import CKernel
import Glibc

/// The memory of parsed documents. jansson asks for thousands of small pieces and gives all back at once: they are cut one after the
/// other from large ones, and given back together when the last document is gone.
///
/// Only for a program with one thread, which says so by ``use()``.
public enum JSONArena {
  private static let pieceSize = 64 << 10
  private static let alignment = 16

  private nonisolated(unsafe) static var pieces: [UnsafeMutableRawPointer] = []
  private nonisolated(unsafe) static var next: UnsafeMutableRawPointer?
  private nonisolated(unsafe) static var left = 0
  private nonisolated(unsafe) static var documents = 0

  private(set) nonisolated(unsafe) static var isUsed = false

  /// Documents live in the arena from now on; before the first one is parsed.
  public static func use() {
    json_set_alloc_funcs({ JSONArena.allocate($0) }, { _ in })
    // jansson would open a device for the seed of its hashes.
    json_object_seed(Int(bitPattern: nemo_random_seed()))
    isUsed = true
  }

  /// A document is about to be parsed.
  static func enter() { if isUsed { documents += 1 } }

  /// A document is gone, and with the last one the memory.
  static func leave() {
    guard isUsed else { return }
    documents -= 1
    guard documents == 0 else { return }
    for piece in pieces { free(piece) }
    pieces.removeAll()
    next = nil
    left = 0
  }

  private static func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
    guard size <= Int.max - pieceSize else { return nil }
    let size = (size + alignment - 1) / alignment * alignment
    if size > left {
      let whole = max(size, pieceSize)
      guard let piece = malloc(whole) else { return nil }
      pieces.append(piece)
      // What does not fit into the present piece gets one of its own; the present one goes on.
      if size > pieceSize / 4 { return piece }
      next = piece
      left = whole
    }
    guard let result = next else { return nil }
    next = result + size
    left -= size
    return result
  }
}
