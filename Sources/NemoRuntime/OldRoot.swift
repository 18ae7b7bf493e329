import Glibc
import NemoKernel
import NemoMounts

/// The host's root where it stays mounted below the container's (`--no-pivot`).
enum OldRoot {
  /// Takes away every proc and sysfs outside of `rootfs`: an unmasked one in sight is what lets a user namespace inside mount a
  /// fresh one (mount_namespaces(7)).
  static func hideKernelFiles(outside rootfs: String, _ procfs: borrowing Procfs) throws(Failure) {
    let table = String(decoding: try procfs.read("self/mountinfo"), as: UTF8.self)
    // The newest first: one may cover another.
    for line in table.split(separator: "\n").reversed() {
      let fields = line.split(separator: " ")
      guard fields.count > 6, let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count,
        fields[dash + 1] == "proc" || fields[dash + 1] == "sysfs"
      else { continue }
      let place = unescaped(fields[4])
      if place == rootfs || place.hasPrefix(rootfs + "/") { continue }
      if umount2(place, Int32(MNT_DETACH)) == 0 { continue }
      // One that a user namespace inherited cannot be unmounted, only covered.
      let cover = try MountTree.new(
        "tmpfs", source: "tmpfs", data: ["size=0", "nr_inodes=1"], attributes: MountAttribute.readOnly)
      let target = try Files.open(place, O_PATH | O_DIRECTORY)
      try MountTree.attach(cover.raw, to: target.raw, subject: place)
    }
  }

  /// A path as mountinfo writes it (`\040` for a space, proc(5)).
  private static func unescaped(_ text: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      if byte == 0x5c, rest.count >= 3, let value = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8) {
        bytes.append(value)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
